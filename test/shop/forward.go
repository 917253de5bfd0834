// SPDX-License-Identifier: Apache-2.0
// Copyright The Image Lineage Authors

package shop

import (
	"bufio"
	"bytes"
	"context"
	"fmt"
	"os"
	"os/exec"
	"regexp"
	"time"
)

// forwarding is what kubectl says when it listens.
var forwarding = regexp.MustCompile(`Forwarding from (127\.0\.0\.1:[0-9]+)`)

// Forward opens a way from this machine to a port of a Service's Pod, and returns the
// address to connect to. The Service has that Pod when it is opened; the way ends with the
// context.
func (c Cluster) Forward(ctx context.Context, namespace, service, port string) (address string, err error) {
	var problems bytes.Buffer
	cmd := exec.CommandContext(ctx, c.Kubectl, "port-forward", "--namespace", namespace, "service/"+service, ":"+port)
	cmd.Env = append(os.Environ(), "KUBECONFIG="+c.Kubeconfig)
	cmd.Stderr = &problems
	cmd.Cancel = func() error { return cmd.Process.Signal(os.Interrupt) }
	cmd.WaitDelay = 5 * time.Second
	out, err := cmd.StdoutPipe()
	if err != nil {
		return "", err
	}
	if err := cmd.Start(); err != nil {
		return "", err
	}
	lines := bufio.NewScanner(out)
	for lines.Scan() {
		match := forwarding.FindStringSubmatch(lines.Text())
		if match == nil {
			continue
		}
		// It says a line for each connection, and stops where nobody reads them.
		go func() {
			for lines.Scan() {
			}
			_ = cmd.Wait()
		}()
		return match[1], nil
	}
	return "", fmt.Errorf("no way to %s of %s: %w: %s", service, namespace, cmd.Wait(), tail(problems.String(), 1000))
}
