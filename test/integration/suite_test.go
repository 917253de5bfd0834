// SPDX-License-Identifier: Apache-2.0
// Copyright The Image Lineage Authors

// Package integration tests what only a real API server can answer: the schema and its
// rules, the admission policy, and controllers under watches. One kube-apiserver and one
// etcd serve all tests of the package; each test makes namespaces of its own.
package integration

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/go-logr/logr"
	corev1 "k8s.io/api/core/v1"
	apiextensionsv1 "k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/util/wait"
	utilyaml "k8s.io/apimachinery/pkg/util/yaml"
	clientgoscheme "k8s.io/client-go/kubernetes/scheme"
	"k8s.io/client-go/rest"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/envtest"

	"github.com/imagelineage/imagelineage/api/v1alpha1"
)

var (
	// restConfig reaches the API server as a member of system:masters.
	restConfig *rest.Config
	// scheme knows Kubernetes' own kinds and ours.
	scheme = runtime.NewScheme()
	// admin acts with every right.
	admin client.Client
)

// root is the checkout, as seen from this package.
const root = "../.."

func TestMain(m *testing.M) {
	os.Exit(runTests(m))
}

// runTests is TestMain with deferred calls that are really made.
func runTests(m *testing.M) int {
	// What the operators log would drown what the tests say.
	ctrl.SetLogger(logr.Discard())
	assets := os.Getenv("KUBEBUILDER_ASSETS")
	if assets == "" {
		fmt.Fprintln(os.Stderr, "KUBEBUILDER_ASSETS names no directory with kube-apiserver and etcd: run \"make test-integration\" (or \"make test\"), which builds them")
		return 1
	}
	env, err := start(assets)
	if err != nil {
		fmt.Fprintln(os.Stderr, "cannot start the API server:", err)
		return 1
	}
	defer func() {
		if err := env.Stop(); err != nil {
			fmt.Fprintln(os.Stderr, "cannot stop the API server:", err)
		}
	}()
	if err := enforceAuthority(context.Background()); err != nil {
		fmt.Fprintln(os.Stderr, "cannot enforce config/admission:", err)
		return 1
	}
	return m.Run()
}

// start starts the API server with our CRDs and Tekton's.
func start(assets string) (*envtest.Environment, error) {
	for _, add := range []func(*runtime.Scheme) error{
		clientgoscheme.AddToScheme, apiextensionsv1.AddToScheme, v1alpha1.AddToScheme,
	} {
		if err := add(scheme); err != nil {
			return nil, err
		}
	}
	tekton, err := tektonCRDs()
	if err != nil {
		return nil, fmt.Errorf("cannot read Tekton's CRDs: %w", err)
	}
	env := &envtest.Environment{
		BinaryAssetsDirectory: assets,
		Scheme:                scheme,
		CRDInstallOptions: envtest.CRDInstallOptions{
			Scheme:             scheme,
			CRDs:               tekton,
			Paths:              []string{filepath.Join(root, "config/crd/bases")},
			ErrorIfPathMissing: true,
		},
	}
	if restConfig, err = env.Start(); err != nil {
		return nil, errors.Join(err, env.Stop())
	}
	// The tests make more requests at once than an operator does.
	restConfig.QPS = -1
	if admin, err = client.New(restConfig, client.Options{Scheme: scheme}); err != nil {
		return nil, errors.Join(err, env.Stop())
	}
	return env, nil
}

// tektonCRDs reads the CRDs of the version of Tekton that go.mod names.
func tektonCRDs() ([]*apiextensionsv1.CustomResourceDefinition, error) {
	out, err := exec.Command("go", "mod", "download", "-json", "github.com/tektoncd/pipeline").Output()
	if err != nil {
		return nil, err
	}
	var module struct{ Dir string }
	if err := json.Unmarshal(out, &module); err != nil {
		return nil, err
	}
	paths, err := filepath.Glob(filepath.Join(module.Dir, "config/300-crds/*.yaml"))
	if err != nil || len(paths) == 0 {
		return nil, fmt.Errorf("no CRDs in %s: %w", module.Dir, err)
	}
	var crds []*apiextensionsv1.CustomResourceDefinition
	for _, path := range paths {
		objects, err := readYAML(path)
		if err != nil {
			return nil, err
		}
		for _, object := range objects {
			crd := &apiextensionsv1.CustomResourceDefinition{}
			if err := runtime.DefaultUnstructuredConverter.FromUnstructured(object.Object, crd); err != nil {
				return nil, fmt.Errorf("%s: %w", path, err)
			}
			// Tekton's webhook, which would convert, does not run here.
			crd.Spec.Conversion = nil
			crds = append(crds, crd)
		}
	}
	return crds, nil
}

// readYAML reads every object of a file.
func readYAML(path string) ([]*unstructured.Unstructured, error) {
	content, err := os.ReadFile(path)
	if err != nil {
		return nil, err
	}
	var objects []*unstructured.Unstructured
	for decoder := utilyaml.NewYAMLOrJSONDecoder(bytes.NewReader(content), 4096); ; {
		object := &unstructured.Unstructured{}
		err := decoder.Decode(&object.Object)
		if errors.Is(err, io.EOF) {
			return objects, nil
		}
		if err != nil {
			return nil, fmt.Errorf("%s: %w", path, err)
		}
		if len(object.Object) > 0 {
			objects = append(objects, object)
		}
	}
}

// enforceAuthority creates the admission policy, and returns when the API server acts on
// it: a policy takes effect a moment after it was created.
func enforceAuthority(ctx context.Context) error {
	paths, err := filepath.Glob(filepath.Join(root, "config/admission/*_policy*.yaml"))
	if err != nil {
		return err
	}
	for _, path := range paths {
		objects, err := readYAML(path)
		if err != nil {
			return err
		}
		for _, object := range objects {
			if err := admin.Create(ctx, object); err != nil {
				return err
			}
		}
	}
	nobody, err := newUser(ctx, "canary", "default", nil)
	if err != nil {
		return err
	}
	canary := &v1alpha1.ImageLineage{
		ObjectMeta: metav1.ObjectMeta{Name: "canary", Namespace: "default"},
		Spec: v1alpha1.ImageLineageSpec{
			Image:       "registry.example.com/canary:1",
			PullSecrets: []v1alpha1.SecretReference{{Name: "none-of-yours"}},
		},
	}
	return eventually(ctx, func(ctx context.Context) (bool, error) {
		err := nobody.Create(ctx, canary.DeepCopy(), client.DryRunAll)
		return err != nil && strings.Contains(err.Error(), "ValidatingAdmissionPolicy"), nil
	})
}

// eventually waits for a condition, a minute at the longest.
func eventually(ctx context.Context, condition wait.ConditionWithContextFunc) error {
	return wait.PollUntilContextTimeout(ctx, 20*time.Millisecond, time.Minute, true, condition)
}

// newNamespace makes a namespace for one test. It is not deleted: nothing here would
// finish the deletion, and the whole API server goes away with the tests.
func newNamespace(t *testing.T) string {
	t.Helper()
	namespace := &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{GenerateName: "test-"}}
	if err := admin.Create(t.Context(), namespace); err != nil {
		t.Fatal(err)
	}
	return namespace.Name
}
