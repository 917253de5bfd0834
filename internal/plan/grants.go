// SPDX-License-Identifier: Apache-2.0
// Copyright The Image Lineage Authors

package plan

import (
	"fmt"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/labels"

	"github.com/imagelineage/imagelineage/api/v1alpha1"
)

// Admits is nil where a lineage allows children in a namespace with these labels,
// and the reason and cure where it does not.
func Admits(parent *v1alpha1.ImageLineage, namespace string, namespaceLabels map[string]string) *Problem {
	from, selector := v1alpha1.NamespacesSame, (*metav1.LabelSelector)(nil)
	if allowed := parent.Spec.AllowedChildren; allowed != nil {
		from, selector = allowed.Namespaces.From, allowed.Namespaces.Selector
	}
	switch from {
	case v1alpha1.NamespacesAll:
		return nil
	case v1alpha1.NamespacesSelector:
		matches, err := metav1.LabelSelectorAsSelector(selector)
		if err == nil && matches.Matches(labels.Set(namespaceLabels)) {
			return nil
		}
	default:
		if parent.Namespace == namespace {
			return nil
		}
	}
	return &Problem{
		Reason: v1alpha1.ReasonParentNotAllowed, Passing: true,
		Message: fmt.Sprintf("%s/%s does not allow children in namespace %s: its owner has to admit it in spec.allowedChildren", parent.Namespace, parent.Name, namespace),
	}
}

// HasBuilt is true for a lineage that has published an image of its own: it has
// shown the registry that it may push there, which a claim alone does not.
func HasBuilt(l *v1alpha1.ImageLineage) bool {
	for _, r := range l.Status.History {
		if r.Origin == v1alpha1.OriginBuilt {
			return true
		}
	}
	return false
}

// CurrentOf is what a lineage offers its children; nil while it has no current image.
func CurrentOf(l *v1alpha1.ImageLineage) *ParentCurrent {
	current := l.Status.Current
	if current == nil {
		return nil
	}
	return &ParentCurrent{
		Digest: current.Digest, Identity: Counting(ChangeOn(l), current.Digest, current.Identities),
		Identities: current.Identities, Accepted: current.Accepted.Time, Roots: current.Roots, Mirror: CopyOf(l, current.Revision),
	}
}
