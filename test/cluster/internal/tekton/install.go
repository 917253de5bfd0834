package tekton

import (
	"context"
	"strings"

	"github.com/imagelineage/imagelineage/test/cluster/internal/command"
)

// probeRun is a PipelineRun that only the admission webhook looks at. It comes
// back with defaults only if the webhook works.
const probeRun = `apiVersion: tekton.dev/v1
kind: PipelineRun
metadata: {name: admission-probe, namespace: default}
spec:
  pipelineSpec:
    tasks:
    - name: nothing
      taskSpec:
        steps: [{name: nothing, image: example.invalid/nothing, command: ["true"]}]
`

// Client asks the cluster through kubectl.
type Client struct {
	// Kubectl and Kubeconfig are the paths of the program and of its file.
	Kubectl, Kubeconfig string
}

// Run runs kubectl, with a text as its standard input.
func (c Client) Run(ctx context.Context, stdin string, args ...string) (string, error) {
	cmd := command.Cmd{
		Args: append([]string{c.Kubectl, "--kubeconfig", c.Kubeconfig}, args...),
		// Whatever the caller's environment says about other clusters or
		// proxies is not meant for this one.
		Env:   []string{"KUBECONFIG=", "NO_PROXY=*", "no_proxy=*"},
		Stdin: strings.NewReader(stdin),
	}
	return cmd.Output(ctx)
}

// Install applies the manifests. Applying on the server's side needs no copy of
// each object in an annotation, for which Tekton's definitions are too large.
func (c Client) Install(ctx context.Context, manifests string) error {
	_, err := c.Run(ctx, manifests, "apply", "--server-side", "--force-conflicts", "-f", "-")
	return err
}

// Available says whether the controller and the webhook are.
func (c Client) Available(ctx context.Context) error {
	_, err := c.Run(ctx, "", "--namespace", Namespace, "wait", "--for=condition=Available", "--timeout=5s",
		"deployment/tekton-pipelines-controller", "deployment/tekton-pipelines-webhook")
	return err
}

// Admits says whether a PipelineRun passes the admission webhook.
func (c Client) Admits(ctx context.Context) error {
	_, err := c.Run(ctx, probeRun, "create", "--dry-run=server", "-f", "-")
	return err
}

// NodeReady says whether the node is.
func (c Client) NodeReady(ctx context.Context) error {
	_, err := c.Run(ctx, "", "wait", "node", "--all", "--for=condition=Ready", "--timeout=5s")
	return err
}
