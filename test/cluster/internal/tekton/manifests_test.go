package tekton

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

const deployment = `  labels:
    app.kubernetes.io/version: "devel"
    pipeline.tekton.dev/release: "devel"
spec:
  image: ko://github.com/tektoncd/pipeline/cmd/controller
  args: ["-entrypoint-image", "ko://github.com/tektoncd/pipeline/cmd/entrypoint",
    "-shell-image", "registry.example/shell@sha256:1", "-shell-image-win", "registry.example/windows@sha256:2"]
`

func TestRewrite(t *testing.T) {
	images := map[string]string{"controller": "r:1/controller@sha256:a", "entrypoint": "r:1/entrypoint@sha256:b"}
	got, err := Rewrite(deployment, "v1.2.3", "r:1/shell@sha256:c", images)
	if err != nil {
		t.Fatal(err)
	}
	want := `  labels:
    app.kubernetes.io/version: "v1.2.3"
    pipeline.tekton.dev/release: "v1.2.3"
spec:
  image: r:1/controller@sha256:a
  args: ["-entrypoint-image", "r:1/entrypoint@sha256:b",
    "-shell-image", "r:1/shell@sha256:c", "-shell-image-win", "registry.example/windows@sha256:2"]
`
	if got != want {
		t.Errorf("got\n%s\nwant\n%s", got, want)
	}
}

func TestRewriteNamesMissingImages(t *testing.T) {
	_, err := Rewrite(deployment, "v1.2.3", "shell", map[string]string{"controller": "x"})
	if err == nil || !strings.Contains(err.Error(), "entrypoint") {
		t.Errorf("got %v, want an error that names entrypoint", err)
	}
}

func TestManifestsOrderAndSelection(t *testing.T) {
	dir := t.TempDir()
	for name, content := range map[string]string{
		"100-namespace/100-namespace.yaml": "namespace", "300-crds/300-task.yaml": "definition",
		"controller.yaml": "controller", "events.yaml": "events", "resolvers/100-namespace.yaml": "resolvers",
	} {
		path := filepath.Join(dir, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	got, err := Manifests(dir, "v1", "shell", nil)
	if err != nil {
		t.Fatal(err)
	}
	if want := "namespace\n---\ndefinition\n---\ncontroller"; got != want {
		t.Errorf("got %q, want %q", got, want)
	}
}
