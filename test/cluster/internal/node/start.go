package node

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"strings"
	"syscall"

	"github.com/imagelineage/imagelineage/test/cluster/internal/command"
)

// InitVerb is the hidden verb by which this program runs as the first process.
const InitVerb = "node-init"

// sandboxRepository is where the sandbox image gets pushed.
const sandboxRepository = "tools/pause"

// Start makes the namespaces and starts the node in them. It returns when the
// API server can be asked; the node becomes ready a little later.
func Start(ctx context.Context, programs Programs, versions map[string]string) (State, error) {
	for _, path := range []string{programs.Kubernetes, programs.Etcd, programs.Registry} {
		for _, covered := range []string{"/run/", "/var/lib/", "/var/log/"} {
			if strings.HasPrefix(path, covered) {
				return State{}, fmt.Errorf("the node covers %s with its own, so the cache cannot lie there: set IMAGELINEAGE_CACHE to another place than %s", covered, path)
			}
		}
	}
	if err := os.MkdirAll(StateDir, 0o755); err != nil {
		return State{}, err
	}
	state := State{Programs: programs, Versions: versions}
	var err error
	if state.Capabilities, err = Probe(); err != nil {
		return state, err
	}
	if state.Addresses, err = pickAddresses(ctx); err != nil {
		return state, err
	}
	state.SandboxImage = state.Registry() + "/" + sandboxRepository + ":latest"
	if err := writeFiles(state); err != nil {
		return state, err
	}
	// From here on the machine changes; what must be undone is written down first.
	if state.Sysctls, err = raiseSysctls(); err != nil {
		return state, errors.Join(err, restoreSysctls(state.Sysctls))
	}
	if err := state.Save(); err != nil {
		return state, errors.Join(err, restoreSysctls(state.Sysctls))
	}
	if err := spawn(ctx, &state); err != nil {
		return state, err
	}
	return state, WaitFor(ctx, state, "the API server", healthy(state.APIServer()+"/readyz"))
}

// spawn starts the first process and connects its network.
func spawn(ctx context.Context, state *State) error {
	program, err := copySelf()
	if err != nil {
		return err
	}
	log, err := os.Create(Path("logs", "init.log"))
	if err != nil {
		return err
	}
	defer log.Close()
	reader, writer, err := os.Pipe()
	if err != nil {
		return err
	}
	defer writer.Close()
	cmd := exec.Command(program, InitVerb)
	cmd.Stdout, cmd.Stderr = log, log
	cmd.Dir = "/"
	cmd.Env = environment()
	cmd.ExtraFiles = []*os.File{reader}
	cmd.SysProcAttr = &syscall.SysProcAttr{
		Cloneflags: syscall.CLONE_NEWNS | syscall.CLONE_NEWPID | syscall.CLONE_NEWNET | syscall.CLONE_NEWUTS | syscall.CLONE_NEWIPC,
		// A session of its own: an interrupt at the terminal must not reach it.
		Setsid: true,
	}
	err = cmd.Start()
	reader.Close()
	if err != nil {
		return fmt.Errorf("make the node's namespaces: %w", err)
	}
	state.PID = cmd.Process.Pid
	if state.StartTime, err = startTime(state.PID); err != nil {
		return err
	}
	if err := state.Save(); err != nil {
		return err
	}
	if err := connect(ctx, state.PID, state.Addresses); err != nil {
		return err
	}
	// The process outlives this one; only a zombie must not stay if it ends now.
	go func() { _ = cmd.Wait() }()
	return nil
}

// copySelf puts this program into the state directory: `go run` removes its own
// binary when it is done, and the node lives longer.
func copySelf() (string, error) {
	source, err := os.Open("/proc/self/exe")
	if err != nil {
		return "", err
	}
	defer source.Close()
	path := Path("bin", "cluster")
	target, err := os.OpenFile(path, os.O_CREATE|os.O_TRUNC|os.O_WRONLY, 0o755)
	if err != nil {
		return "", err
	}
	if _, err := io.Copy(target, source); err != nil {
		target.Close()
		return "", err
	}
	return path, target.Close()
}

// WaitFor waits for something of the node, and gives up at once with the right
// log's end when a component has ended meanwhile.
func WaitFor(ctx context.Context, state State, what string, condition func(context.Context) error) error {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	err := command.Until(ctx, 2*componentLimit, what, func(ctx context.Context) error {
		if broken := state.Broken(); broken != nil {
			cancel(broken)
			return broken
		}
		return condition(ctx)
	})
	if cause := context.Cause(ctx); cause != nil && ctx.Err() != nil {
		return cause
	}
	return err
}

// Broken says why the node cannot work any more.
func (s State) Broken() error {
	for _, name := range s.Ended() {
		return fmt.Errorf("%s ended:\n%s", name, logTail(name))
	}
	if !s.Alive() {
		return fmt.Errorf("the node ended:\n%s", logTail("init"))
	}
	return nil
}

func logTail(name string) string {
	content, err := os.ReadFile(Path("logs", name+".log"))
	if err != nil {
		return err.Error()
	}
	return command.Tail(string(content), 15)
}
