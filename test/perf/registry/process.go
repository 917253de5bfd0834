// SPDX-License-Identifier: Apache-2.0
// Copyright The Image Lineage Authors

package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"time"

	"sigs.k8s.io/yaml"
)

// process is the operator, in a process of its own so that what it costs can be
// told from what the benchmark does.
type process struct {
	command *exec.Cmd
	cancel  context.CancelFunc
	log     *os.File
	// hooks is the address to send notifications to; empty where this operator
	// takes none.
	hooks string
	// secret proves the benchmark's notifications.
	secret string
}

// stopTimeout is how long the operator has to end.
const stopTimeout = 30 * time.Second

// buildOperator builds it as it is in the checkout, and returns its path.
func buildOperator(ctx context.Context, dir string) (string, error) {
	binary := filepath.Join(dir, "imagelineage")
	build := exec.CommandContext(ctx, "go", "build", "-o", binary, ".")
	if out, err := build.CombinedOutput(); err != nil {
		return "", fmt.Errorf("building the operator: %w\n%s", err, out)
	}
	return binary, nil
}

// startOperator starts it for these registries; what it logs goes into dir.
func startOperator(ctx context.Context, binary, dir, kubeconfig string, hosts []string) (*process, error) {
	p := &process{}
	flags := []string{"--leader-elect", "--leader-election-namespace=default", "--health-probe-bind-address=0"}
	knows, err := knownFlags(ctx, binary)
	if err != nil {
		return nil, err
	}
	if knows("config") {
		file, err := p.configure(ctx, dir, hosts, knows("hooks-bind-address"))
		if err != nil {
			return nil, err
		}
		flags = append(flags, "--config="+file)
	} else {
		flags = append(flags, "--plain-http-registries="+strings.Join(hosts, ","))
	}
	if p.hooks != "" {
		flags = append(flags, "--hooks-bind-address="+p.hooks)
	}
	if p.log, err = os.Create(filepath.Join(dir, "operator.log")); err != nil {
		return nil, err
	}
	ctx, p.cancel = context.WithCancel(ctx)
	p.command = exec.CommandContext(ctx, binary, flags...)
	p.command.Cancel = func() error { return p.command.Process.Signal(os.Interrupt) }
	p.command.WaitDelay = stopTimeout
	p.command.Env = append(os.Environ(), "KUBECONFIG="+kubeconfig)
	p.command.Stderr, p.command.Stdout = p.log, p.log
	// What the benchmark is sent by a terminal is not for its operator: it is ended
	// in order.
	p.command.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	return p, p.command.Start()
}

// knownFlags asks the operator which flags it has.
func knownFlags(ctx context.Context, binary string) (func(string) bool, error) {
	out, err := exec.CommandContext(ctx, binary, "-help").CombinedOutput()
	if _, ended := errors.AsType[*exec.ExitError](err); err != nil && !ended {
		return nil, err
	}
	return func(name string) bool { return bytes.Contains(out, []byte("  -"+name+" ")) }, nil
}

// rate is how many requests a second each registry is asked at most: more than
// the default for private registries, so that what is measured is the operator.
const rate = 500

// hookName is the last element of the hook's path.
const hookName = "bench"

// configure writes the operator's configuration, with a hook where it can have one.
func (p *process) configure(ctx context.Context, dir string, hosts []string, hooks bool) (string, error) {
	rules := make([]map[string]any, 0, len(hosts))
	for _, host := range hosts {
		rules = append(rules, map[string]any{"host": host, "plainHTTP": true, "requestsPerSecond": rate})
	}
	config := map[string]any{
		"apiVersion": "config.imagelineage.dev/v1alpha1", "kind": "OperatorConfiguration",
		"registries": map[string]any{"hosts": rules},
	}
	if hooks {
		secretFile := filepath.Join(dir, "hook-secret")
		p.secret = "the benchmark proves itself by this"
		if err := os.WriteFile(secretFile, []byte(p.secret), 0o600); err != nil {
			return "", err
		}
		var err error
		if p.hooks, err = freeAddress(ctx); err != nil {
			return "", err
		}
		config["hooks"] = []map[string]any{{
			"name": hookName, "source": "Distribution", "proof": map[string]any{"bearer": map[string]any{"secretFile": secretFile}},
		}}
	}
	content, err := yaml.Marshal(config)
	if err != nil {
		return "", err
	}
	file := filepath.Join(dir, "config.yaml")
	return file, os.WriteFile(file, content, 0o600)
}

// stop ends the operator, and waits for it.
func (p *process) stop() error {
	defer func() { _ = p.log.Close() }()
	p.cancel()
	// An end in order is told as that of the context.
	if err := p.command.Wait(); !errors.Is(err, context.Canceled) {
		return err
	}
	return nil
}

// ticks is the unit of times in /proc: USER_HZ, which is 100 on every Linux.
const ticks = 100

// cpu is the processor time that the operator has used so far, in user and
// kernel mode; proc(5), fields 14 and 15 of stat.
func (p *process) cpu() (time.Duration, error) {
	raw, err := p.read("stat")
	if err != nil {
		return 0, err
	}
	// The name may hold spaces; what follows it begins with field 3.
	fields := strings.Fields(raw[strings.LastIndexByte(raw, ')')+1:])
	if len(fields) < 13 {
		return 0, fmt.Errorf("/proc/PID/stat has %d fields behind the name", len(fields))
	}
	var sum int64
	for _, field := range fields[11:13] {
		n, err := strconv.ParseInt(field, 10, 64)
		if err != nil {
			return 0, err
		}
		sum += n
	}
	return time.Duration(sum) * time.Second / ticks, nil
}

// memory is the resident set, in bytes.
func (p *process) memory() (int64, error) {
	raw, err := p.read("status")
	if err != nil {
		return 0, err
	}
	for line := range strings.SplitSeq(raw, "\n") {
		if rest, ok := strings.CutPrefix(line, "VmRSS:"); ok {
			kilobytes, err := strconv.ParseInt(strings.TrimSpace(strings.TrimSuffix(strings.TrimSpace(rest), "kB")), 10, 64)
			return kilobytes << 10, err
		}
	}
	return 0, errors.New("/proc/PID/status has no VmRSS")
}

func (p *process) read(name string) (string, error) {
	raw, err := os.ReadFile(fmt.Sprintf("/proc/%d/%s", p.command.Process.Pid, name))
	if err != nil {
		return "", fmt.Errorf("the operator ended; its log is %s: %w", p.log.Name(), err)
	}
	return string(raw), nil
}
