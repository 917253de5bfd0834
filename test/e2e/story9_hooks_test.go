//go:build e2e

// SPDX-License-Identifier: Apache-2.0
// Copyright The Image Lineage Authors

package e2e

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"net"
	"net/http"
	"os"
	"strconv"
	"strings"
	"testing"
	"time"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"

	"github.com/imagelineage/imagelineage/api/v1alpha1"
	"github.com/imagelineage/imagelineage/internal/plan"
	"github.com/imagelineage/imagelineage/internal/workload"
	"github.com/imagelineage/imagelineage/test/shop"
)

const (
	// reactionAim is how long a push may take to be in the status, in seconds, and
	// reactionLimit what is no failure of ours on a machine that does other work.
	reactionAim   = 1.0
	reactionLimit = 10 * time.Second
	// unmoved is how long a refused notification must move nothing: some times as long
	// as an accepted one takes.
	unmoved = 3 * time.Second
	// apart is the time between two pushes: a tag is asked for at most once a second,
	// however many tell of it.
	apart = 2 * time.Second
	// registryPort is where the story's registry listens.
	registryPort = 5000
)

// hearing is an operator that is told of pushes, by a registry of its own and by hand.
type hearing struct {
	// place is the namespace of the registry and the lineages, without the prefix.
	place string
	// registry is the address by which lineages and the operator know the registry.
	registry string
	// secrets that prove the origin, by the names of the hooks.
	secrets map[string]string
}

// The names of the hooks.
const (
	pushesHook = "pushes"
	byHandHook = "by-hand"
)

// newHearing installs the operator with its hooks, and a registry that tells it of pushes.
func newHearing(t *testing.T) *hearing {
	t.Helper()
	h := &hearing{place: "hooks", secrets: map[string]string{pushesHook: rand.Text(), byHandHook: rand.Text()}}
	ours := map[string]string{shop.PartOfLabel: live.PartOf, "hooks": "enabled"}
	must(t, live.Client.Create(t.Context(), &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: h.namespace(), Labels: ours}}))
	service := &corev1.Service{
		ObjectMeta: metav1.ObjectMeta{Namespace: h.namespace(), Name: "registry"},
		Spec:       corev1.ServiceSpec{Selector: map[string]string{"app": "registry"}, Ports: []corev1.ServicePort{{Port: registryPort}}},
	}
	must(t, live.Client.Create(t.Context(), service))
	h.registry = net.JoinHostPort(service.Spec.ClusterIP, strconv.Itoa(registryPort))

	must(t, live.InstallHooks(t.Context(), h.secrets, rendered(t, "listening.yaml", map[string]string{
		"Registry": h.registry, "Dir": shop.HooksDir, "Pushes": pushesHook, "ByHand": byHandHook,
	})[0]))
	h.startRegistry(t)
	return h
}

func (h *hearing) namespace() string { return live.Namespace(h.place) }

// startRegistry starts the registry, and waits until it serves.
func (h *hearing) startRegistry(t *testing.T) {
	t.Helper()
	image, err := live.PushRegistry(t.Context(), os.Stderr)
	must(t, err)
	operator := &corev1.Service{}
	must(t, live.Client.Get(t.Context(), types.NamespacedName{Namespace: shop.OperatorNamespace, Name: shop.HooksService}, operator))
	apply(t, "registry.yaml", map[string]string{
		"Place": h.place, "Image": image, "Operator": operator.Spec.ClusterIP, "Hook": pushesHook, "Secret": h.secrets[pushesHook],
	})
	until(t, answerLimit, "the registry", func(ctx context.Context) error {
		deployment := &appsv1.Deployment{}
		if err := live.Client.Get(ctx, types.NamespacedName{Namespace: h.namespace(), Name: "registry"}, deployment); err != nil {
			return err
		}
		if health, message := workload.Health(deployment); health != plan.Healthy {
			return errors.New(message)
		}
		return nil
	})
}

// follow makes a lineage of an image, and waits until it shows a digest.
func (h *hearing) follow(t *testing.T, name, image, digest string) {
	t.Helper()
	apply(t, "heard.yaml", map[string]string{"Place": h.place, "Name": name, "Image": image})
	becomes(t, answerLimit, h.place, name, func(l *v1alpha1.ImageLineage) error { return shows(l, digest) })
}

// pushes: a registry tells of a push, and the lineage has it at once.
func (h *hearing) pushes(t *testing.T) {
	t.Helper()
	dumpWhenFailed(t, h.namespace())
	const name, repository = "told", "told"
	address, err := live.Cluster.Forward(t.Context(), h.namespace(), "registry", strconv.Itoa(registryPort))
	must(t, err)
	there := shop.Shop{Registry: shop.Registry{Host: address, Plain: true}}
	push := func(content string) string {
		t.Helper()
		digest, err := there.PushFiles(t.Context(), repository+":1", map[string]string{"content": content})
		must(t, err)
		return digest
	}
	h.follow(t, name, h.registry+"/"+repository+":1", push(first))
	watched, err := shop.NewJournal(t.Context(), config, []string{h.namespace()}, nil)
	must(t, err)

	var took []string
	for _, content := range []string{"second", "third", "fourth"} {
		wait(t, apart)
		before := time.Now()
		digest := push(content)
		pushed := time.Now()
		becomes(t, reactionLimit, h.place, name, func(l *v1alpha1.ImageLineage) error { return shows(l, digest) })
		moved, err := accepted(watched, before, h.namespace()+"/"+name)
		must(t, err)
		took = append(took, fmt.Sprintf("%.3f s", moved.Sub(pushed).Seconds()))
		if reaction := moved.Sub(pushed); reaction > reactionLimit {
			t.Errorf("%s after the push the status had it", reaction)
		}
	}
	figures.add("reaction %s from the end of a push to the status, told by the registry's notification, polling every hour (aim %.0f s)",
		strings.Join(took, ", "), reactionAim)
	t.Logf("from the end of the push to the status: %s", strings.Join(took, ", "))
}

// accepted is when a journal heard first of a new revision.
func accepted(in *shop.Journal, after time.Time, object string) (time.Time, error) {
	for _, e := range in.Since(after) {
		if e.Kind == shop.Accepted && e.Object == object {
			return e.At, nil
		}
	}
	return time.Time{}, fmt.Errorf("the journal has no revision of %s", object)
}

// forged: a notification with a wrong secret moves nothing. The same with the right one
// does, so that it is for the secret.
func (h *hearing) forged(t *testing.T) {
	t.Helper()
	dumpWhenFailed(t, h.namespace())
	const name, tag = "forged", "hooks/forged:1"
	pushed, err := live.PushFiles(t.Context(), tag, map[string]string{"content": first})
	must(t, err)
	h.follow(t, name, live.Image(tag), pushed)
	moved, err := live.PushFiles(t.Context(), tag, map[string]string{"content": later})
	must(t, err)
	address, err := live.Cluster.Forward(t.Context(), shop.OperatorNamespace, shop.HooksService, "hooks")
	must(t, err)

	notification := fmt.Sprintf(`{"events":[{"action":"push","target":{"repository":%q,"tag":"1"},"request":{"host":%q}}]}`,
		live.Repository("hooks/forged"), live.Registry.Host)
	for _, wrong := range []string{"", rand.Text(), h.secrets[pushesHook]} {
		if got := tell(t, address, wrong, notification); got != http.StatusUnauthorized {
			t.Errorf("a wrong secret is answered %d, want %d", got, http.StatusUnauthorized)
		}
	}
	wait(t, unmoved)
	if err := shows(lineage(t, h.place, name), pushed); err != nil {
		t.Errorf("a wrong secret has moved it: %v", err)
	}
	if got := tell(t, address, h.secrets[byHandHook], notification); got != http.StatusAccepted {
		t.Errorf("the right secret is answered %d, want %d", got, http.StatusAccepted)
	}
	becomes(t, reactionLimit, h.place, name, func(l *v1alpha1.ImageLineage) error { return shows(l, moved) })
}

// tell sends a notification to the hook for that, and returns the answer's status.
func tell(t *testing.T, address, secret, notification string) int {
	t.Helper()
	request, err := http.NewRequestWithContext(t.Context(), http.MethodPost,
		"http://"+address+"/hooks/"+byHandHook, strings.NewReader(notification))
	must(t, err)
	if secret != "" {
		request.Header.Set("Authorization", "Bearer "+secret)
	}
	response, err := http.DefaultClient.Do(request)
	must(t, err)
	must(t, response.Body.Close())
	return response.StatusCode
}
