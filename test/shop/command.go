// SPDX-License-Identifier: Apache-2.0
// Copyright The Image Lineage Authors

package shop

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"
)

// Root is the checkout: the directory above this one with the Makefile. What is built
// and installed comes from there.
func Root() (string, error) {
	dir, err := os.Getwd()
	if err != nil {
		return "", err
	}
	for {
		if _, err := os.Stat(filepath.Join(dir, "test", "shop", "manifests")); err == nil {
			return dir, nil
		}
		parent := filepath.Dir(dir)
		if parent == dir {
			return "", errors.New("run this inside the checkout of the repository: it builds the operator from source")
		}
		dir = parent
	}
}

// command runs a program in a directory of the checkout and returns what it printed.
// Its progress goes to log; where it fails and log is discarded, the error has its end.
func command(ctx context.Context, log io.Writer, dir string, env []string, program string, args ...string) (string, error) {
	root, err := Root()
	if err != nil {
		return "", err
	}
	var out, problems bytes.Buffer
	cmd := exec.CommandContext(ctx, program, args...)
	cmd.Dir = filepath.Join(root, dir)
	cmd.Env = append(os.Environ(), env...)
	cmd.Stdout, cmd.Stderr = &out, io.MultiWriter(log, &problems)
	// An interrupt lets it clean up behind itself.
	cmd.Cancel = func() error { return cmd.Process.Signal(os.Interrupt) }
	cmd.WaitDelay = time.Minute
	if err := cmd.Run(); err != nil {
		said := ""
		if log == io.Discard {
			said = ": " + tail(problems.String(), 1000)
		}
		return "", fmt.Errorf("%s %s: %w%s", filepath.Base(program), strings.Join(args, " "), err, said)
	}
	return strings.TrimSpace(out.String()), nil
}

// tail is the end of a text.
func tail(text string, length int) string {
	text = strings.TrimSpace(text)
	if len(text) > length {
		return "…" + text[len(text)-length:]
	}
	return text
}
