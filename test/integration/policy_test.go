// SPDX-License-Identifier: Apache-2.0
// Copyright The Image Lineage Authors

package integration

import (
	"context"
	"fmt"

	admissionregistrationv1 "k8s.io/api/admissionregistration/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"
)

// deny has the API server refuse, in the world's namespace, writes of a resource for which
// an expression is false. It returns when probe, which is such a write, fails: a policy
// takes effect a moment after it was created.
func (w *world) deny(group, resource, expression, message string, probe func(context.Context) error) {
	w.t.Helper()
	name := resource + "-" + w.namespace
	writes := []admissionregistrationv1.OperationType{admissionregistrationv1.Create, admissionregistrationv1.Update}
	policy := &admissionregistrationv1.ValidatingAdmissionPolicy{
		ObjectMeta: metav1.ObjectMeta{Name: name},
		Spec: admissionregistrationv1.ValidatingAdmissionPolicySpec{
			MatchConstraints: &admissionregistrationv1.MatchResources{ResourceRules: []admissionregistrationv1.NamedRuleWithOperations{{
				RuleWithOperations: admissionregistrationv1.RuleWithOperations{
					Operations: writes,
					Rule:       admissionregistrationv1.Rule{APIGroups: []string{group}, APIVersions: []string{"*"}, Resources: []string{resource}},
				},
			}}},
			Validations: []admissionregistrationv1.Validation{{
				Expression: fmt.Sprintf("request.namespace != %q || %s", w.namespace, expression), Message: message,
			}},
		},
	}
	binding := bindingOf(name)
	w.create(policy, binding)
	w.t.Cleanup(func() { _ = admin.Delete(context.Background(), binding) })
	w.waitProbe(probe, true)
}

// allowAgain ends that, and returns when the probe succeeds.
func (w *world) allowAgain(resource string, probe func(context.Context) error) {
	w.t.Helper()
	if err := admin.Delete(w.t.Context(), bindingOf(resource+"-"+w.namespace)); err != nil {
		w.t.Fatal(err)
	}
	w.waitProbe(probe, false)
}

func bindingOf(policy string) *admissionregistrationv1.ValidatingAdmissionPolicyBinding {
	return &admissionregistrationv1.ValidatingAdmissionPolicyBinding{
		ObjectMeta: metav1.ObjectMeta{Name: policy},
		Spec: admissionregistrationv1.ValidatingAdmissionPolicyBindingSpec{
			PolicyName: policy, ValidationActions: []admissionregistrationv1.ValidationAction{admissionregistrationv1.Deny},
		},
	}
}

func (w *world) waitProbe(probe func(context.Context) error, denied bool) {
	w.t.Helper()
	err := eventually(w.t.Context(), func(ctx context.Context) (bool, error) { return (probe(ctx) != nil) == denied, nil })
	if err != nil {
		w.t.Fatalf("the policy does not take effect: denied should be %v", denied)
	}
}

// probeRun would create a run of the pipeline called forbidden.
func (w *world) probeRun(ctx context.Context) error {
	return admin.Create(ctx, pipelineRun(w.namespace, "probe", "forbidden"), client.DryRunAll)
}

// probeImage would write an image by its digest into the subject's Deployment.
func (w *world) probeImage(ctx context.Context) error {
	d := w.readDeployment(subject)
	before := d.DeepCopy()
	d.Spec.Template.Spec.Containers[0].Image = w.image("app:1") + "@" + string(unknownDigest)
	return admin.Patch(ctx, d, client.StrategicMergeFrom(before), client.DryRunAll)
}
