// SPDX-License-Identifier: Apache-2.0
// Copyright The Image Lineage Authors

// Package workload reads and moves what runs images: Deployments, StatefulSets
// and DaemonSets.
//
// It turns an object into the plan.Workload that decisions are made from: its
// containers, who set their images, what its pods report to run, and how healthy
// it is by the rules of kubectl rollout status. And it turns a decision into one
// JSON patch that applies only to the very state that was decided on.
//
// It decides nothing, and it is the only package that knows how these kinds
// differ.
package workload
