// SPDX-License-Identifier: Apache-2.0
// Copyright The Image Lineage Authors

package workload

import (
	"fmt"

	corev1 "k8s.io/api/core/v1"
)

// Trouble says in a short sentence what keeps a pod from running: the first
// container that is in trouble, init containers first; empty where none is.
//
// The sentence stays the same while a container goes through the states of a crash
// loop or of a failing pull. It is made of names, codes and known reasons: the
// messages of a kubelet may hold anything, and change with each attempt.
//
// A container that is ready is in no trouble, however often it was restarted, and
// neither is one that was never restarted and is not ready yet. So a container
// without a readiness probe is in none while it runs between two crashes: to
// Kubernetes, it is available then.
func Trouble(pod *corev1.Pod) string {
	for i := range pod.Status.Conditions {
		c := &pod.Status.Conditions[i]
		if c.Type == corev1.PodScheduled && c.Status == corev1.ConditionFalse && c.Reason == corev1.PodReasonUnschedulable {
			return "a pod cannot be scheduled"
		}
	}
	for _, init := range []bool{true, false} {
		specs, statuses := containersIn(pod, init)
		// In the order of the spec: kubelets sort the statuses by name.
		for i := range specs {
			if trouble := troubleOf(statusOf(statuses, specs[i].Name), init); trouble != "" {
				return trouble
			}
		}
	}
	return ""
}

// troubleOf one container; s is nil where the kubelet does not tell of it yet.
func troubleOf(s *corev1.ContainerStatus, init bool) string {
	switch {
	case s == nil || s.Ready:
		return ""
	case s.State.Waiting != nil:
		if trouble := startOf(s.Name, s.State.Waiting.Reason); trouble != "" {
			return trouble
		}
	}
	ended := s.State.Terminated
	if ended == nil {
		ended = s.LastTerminationState.Terminated
	}
	if ended == nil {
		return ""
	}
	return endOf(s, ended, init)
}

// startOf says why a container that waits cannot start; empty where it will, or
// where its last end tells.
func startOf(name, reason string) string {
	switch reason {
	case "ErrImagePull", "ImagePullBackOff", "InvalidImageName", "ErrImageNeverPull", "ImageInspectError",
		"RegistryUnavailable", "SignatureValidationFailed":
		// One sentence for all: a kubelet goes back and forth between them.
		return fmt.Sprintf("the image of container %s cannot be pulled", name)
	case "CreateContainerConfigError", "CreateContainerError", "RunContainerError":
		return notCreated(name, reason)
	}
	return ""
}

// endOf says how a container ended that ought to run, once it was restarted.
func endOf(s *corev1.ContainerStatus, ended *corev1.ContainerStateTerminated, init bool) string {
	signal := signalOf(ended)
	switch {
	case ended.Reason == "StartError", ended.Reason == "ContainerCannotRun":
		// The words of containerd and cri-dockerd, in between, for what the kubelet
		// calls so. The exit code is theirs, not the program's.
		return notCreated(s.Name, "RunContainerError")
	case s.RestartCount == 0:
		return ""
	case init && ended.ExitCode == 0:
		// It is done, or runs once more because the pod's sandbox is a new one.
		return ""
	case ended.Reason == "ContainerStatusUnknown":
		// The kubelet lost the container, and made up the exit code.
		return ""
	case ended.Reason == "OOMKilled":
		return fmt.Sprintf("container %s is killed for its memory", s.Name)
	case signal != 0:
		return fmt.Sprintf("container %s is killed by signal %d", s.Name, signal)
	}
	return fmt.Sprintf("container %s exits with code %d", s.Name, ended.ExitCode)
}

func notCreated(name, reason string) string {
	return fmt.Sprintf("container %s cannot be created: %s", name, reason)
}

// signalOf is the signal that ended a container; 0 where none did. Runtimes tell it
// as 128+n in the exit code, as a shell does, and leave the field for it empty.
func signalOf(ended *corev1.ContainerStateTerminated) int32 {
	const shell, last = 128, 31
	switch {
	case ended.Signal != 0:
		return ended.Signal
	case ended.ExitCode > shell && ended.ExitCode <= shell+last:
		return ended.ExitCode - shell
	}
	return 0
}

func statusOf(statuses []corev1.ContainerStatus, name string) *corev1.ContainerStatus {
	for i := range statuses {
		if statuses[i].Name == name {
			return &statuses[i]
		}
	}
	return nil
}
