// SPDX-License-Identifier: Apache-2.0
// Copyright The Image Lineage Authors

package integration

import (
	"bytes"
	"path/filepath"
	"strings"
	"testing"

	"k8s.io/cli-runtime/pkg/genericiooptions"
	"k8s.io/client-go/tools/clientcmd"
	clientcmdapi "k8s.io/client-go/tools/clientcmd/api"

	"github.com/imagelineage/imagelineage/internal/kubectl"
)

// kubectl runs "kubectl lineage" in the world's namespace, and returns what it writes.
func (w *world) kubectl(args ...string) string {
	w.t.Helper()
	path := filepath.Join(w.t.TempDir(), "kubeconfig")
	file := clientcmdapi.Config{
		Clusters: map[string]*clientcmdapi.Cluster{"test": {Server: restConfig.Host, CertificateAuthorityData: restConfig.CAData}},
		AuthInfos: map[string]*clientcmdapi.AuthInfo{"admin": {
			Token: restConfig.BearerToken, ClientCertificateData: restConfig.CertData, ClientKeyData: restConfig.KeyData,
		}},
		Contexts:       map[string]*clientcmdapi.Context{"test": {Cluster: "test", AuthInfo: "admin", Namespace: w.namespace}},
		CurrentContext: "test",
	}
	if err := clientcmd.WriteToFile(file, path); err != nil {
		w.t.Fatal(err)
	}
	var out bytes.Buffer
	command := kubectl.NewCommand(genericiooptions.IOStreams{In: strings.NewReader(""), Out: &out, ErrOut: &out})
	command.SetArgs(append(args, "--kubeconfig", path))
	if err := command.ExecuteContext(w.t.Context()); err != nil {
		w.t.Fatalf("kubectl lineage %v: %v\n%s", args, err, out.String())
	}
	return out.String()
}

// TestKubectlPlan: what is told before a base moves is what comes of it.
func TestKubectlPlan(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.chain()
	w.start(0)
	w.waitRolledOut(w.shows("base:1"))

	said := w.kubectl("plan", "--if-moved", "base")
	last := 0
	for _, want := range []string{"1.", "/base", "2.", "/mid", "ParentChanged", "3.", "/app", "restart", "deployment/app"} {
		at := strings.Index(said[last:], want)
		if at < 0 {
			t.Fatalf("it lacks %q after %q:\n%s", want, said[:last], said)
		}
		last += at
	}
	if strings.Contains(said, "Not known") || strings.Contains(said, "stay as they are") {
		t.Errorf("nothing is unknown or held:\n%s", said)
	}

	w.waitRolledOut(w.moveBase("base two"))
	w.wantRuns("mid", 2)
	w.wantRuns("app", 2)
	if n := w.generationOf("app"); n != 2 {
		t.Errorf("the Deployment was not moved once: it is of generation %d", n)
	}
}
