// Package command runs other programs the way this tool wants it: quiet while
// they work, with the end of their output in the error when they fail, and with
// progress lines that carry the elapsed time.
package command

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"os"
	"os/exec"
	"strings"
	"time"
)

// tailLines is how much of a failed program's output its error repeats.
const tailLines = 25

// Cmd is one run of a program.
type Cmd struct {
	// Dir is the working directory; empty means the caller's.
	Dir string
	// Env is added to the caller's environment.
	Env []string
	// Stdin feeds the program.
	Stdin io.Reader
	// Args is the program and its arguments.
	Args []string
}

// New describes a run of a program.
func New(args ...string) Cmd { return Cmd{Args: args} }

// Run runs the program and forgets its output unless it fails.
func (c Cmd) Run(ctx context.Context) error {
	_, err := c.Output(ctx)
	return err
}

// Output runs the program and returns what it wrote to standard output.
func (c Cmd) Output(ctx context.Context) (string, error) {
	cmd := exec.CommandContext(ctx, c.Args[0], c.Args[1:]...)
	cmd.Dir = c.Dir
	cmd.Env = append(os.Environ(), c.Env...)
	cmd.Stdin = c.Stdin
	var out, all bytes.Buffer
	cmd.Stdout = io.MultiWriter(&out, &all)
	cmd.Stderr = &all
	if err := cmd.Run(); err != nil {
		return out.String(), fmt.Errorf("%s: %w\n%s", strings.Join(c.Args, " "), err, Tail(all.String(), tailLines))
	}
	return out.String(), nil
}

// Tail returns the last n lines of a text.
func Tail(text string, n int) string {
	lines := strings.Split(strings.TrimRight(text, "\n"), "\n")
	if len(lines) > n {
		lines = lines[len(lines)-n:]
	}
	return strings.Join(lines, "\n")
}

// Progress writes lines with the time since it was made.
type Progress struct {
	out   io.Writer
	start time.Time
}

// NewProgress starts the clock.
func NewProgress(out io.Writer) *Progress { return &Progress{out: out, start: time.Now()} }

// Say writes one line.
func (p *Progress) Say(format string, args ...any) {
	fmt.Fprintf(p.out, "[%6.1fs] %s\n", time.Since(p.start).Seconds(), fmt.Sprintf(format, args...))
}

// During says what begins, repeats it every so often while it lasts, so that
// nobody takes a compile of minutes for a hang, and says how long it took.
func (p *Progress) During(what string, work func() error) error {
	p.Say("%s …", what)
	began := time.Now()
	done := make(chan struct{})
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		ticker := time.NewTicker(15 * time.Second)
		defer ticker.Stop()
		for {
			select {
			case <-done:
				return
			case <-ticker.C:
				p.Say("%s … for %.0f s now", what, time.Since(began).Seconds())
			}
		}
	}()
	err := work()
	close(done)
	<-ended
	if err != nil {
		p.Say("%s: failed after %.1f s", what, time.Since(began).Seconds())
		return err
	}
	p.Say("%s: done in %.1f s", what, time.Since(began).Seconds())
	return nil
}

// Until asks again and again until the condition holds or the time is over. The
// error of the last attempt says what was still missing.
func Until(ctx context.Context, limit time.Duration, what string, condition func(context.Context) error) error {
	ctx, cancel := context.WithTimeout(ctx, limit)
	defer cancel()
	ticker := time.NewTicker(200 * time.Millisecond)
	defer ticker.Stop()
	for {
		err := condition(ctx)
		if err == nil {
			return nil
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("%s did not happen within %s: %w", what, limit, err)
		case <-ticker.C:
		}
	}
}
