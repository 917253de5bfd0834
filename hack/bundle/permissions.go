// SPDX-License-Identifier: Apache-2.0
// Copyright The Image Lineage Authors

package main

import (
	"fmt"
	"maps"
	"slices"

	rbacv1 "k8s.io/api/rbac/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"
)

// permissions are the rights of ServiceAccounts.
type permissions struct {
	// roles are the roles of both kinds.
	roles []*unstructured.Unstructured
	// rules are theirs, by kind and name of the role, as in Role/leader-election.
	rules map[string][]rbacv1.PolicyRule
	// bindings are the bindings of both kinds.
	bindings []rbacv1.RoleBinding
}

func (p *permissions) addRole(object *unstructured.Unstructured) error {
	var role rbacv1.Role
	if err := runtime.DefaultUnstructuredConverter.FromUnstructured(object.Object, &role); err != nil {
		return err
	}
	p.roles = append(p.roles, object)
	p.rules[object.GetKind()+"/"+role.Name] = role.Rules
	return nil
}

func (p *permissions) addBinding(object *unstructured.Unstructured) error {
	var binding rbacv1.RoleBinding
	if err := runtime.DefaultUnstructuredConverter.FromUnstructured(object.Object, &binding); err != nil {
		return err
	}
	if (object.GetKind() == "RoleBinding") != (binding.RoleRef.Kind == "Role") {
		// A ClusterRole for one namespace can be said in a bundle only as a Role.
		return fmt.Errorf("%s binds a %s: use a role of its own kind", object.GetName(), binding.RoleRef.Kind)
	}
	p.bindings = append(p.bindings, binding)
	return nil
}

// unbound returns the roles that no ServiceAccount of ours is bound to: they are for
// people to use, and go into the bundle as they are.
func (p *permissions) unbound() []*unstructured.Unstructured {
	var roles []*unstructured.Unstructured
	for _, role := range p.roles {
		if !slices.ContainsFunc(p.bindings, func(b rbacv1.RoleBinding) bool {
			return b.RoleRef.Kind == role.GetKind() && b.RoleRef.Name == role.GetName()
		}) {
			roles = append(roles, role)
		}
	}
	return roles
}

// of returns all the rules that an account has by roles of a kind.
func (p *permissions) of(account, kind string) ([]any, error) {
	names := map[string]bool{}
	for _, binding := range p.bindings {
		if binding.RoleRef.Kind == kind && slices.ContainsFunc(binding.Subjects, func(s rbacv1.Subject) bool {
			return s.Kind == rbacv1.ServiceAccountKind && s.Name == account
		}) {
			names[binding.RoleRef.Name] = true
		}
	}
	var rules []any
	for _, name := range slices.Sorted(maps.Keys(names)) {
		for _, rule := range p.rules[kind+"/"+name] {
			converted, err := runtime.DefaultUnstructuredConverter.ToUnstructured(&rule)
			if err != nil {
				return nil, err
			}
			rules = append(rules, converted)
		}
	}
	return rules, nil
}
