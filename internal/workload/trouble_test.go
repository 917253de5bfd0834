// SPDX-License-Identifier: Apache-2.0
// Copyright The Image Lineage Authors

package workload

import (
	"testing"

	corev1 "k8s.io/api/core/v1"

	"github.com/imagelineage/imagelineage/internal/plan"
)

// what a kubelet says beside its reasons: it must not be repeated.
const secret = "Get https://user:password@registry: denied"

func waiting(reason string) corev1.ContainerState {
	return corev1.ContainerState{Waiting: &corev1.ContainerStateWaiting{Reason: reason, Message: secret}}
}

func terminated(code int32, reason string) corev1.ContainerState {
	return corev1.ContainerState{Terminated: &corev1.ContainerStateTerminated{ExitCode: code, Reason: reason, Message: secret}}
}

func isRunning() corev1.ContainerState {
	return corev1.ContainerState{Running: &corev1.ContainerStateRunning{}}
}

// is a container's status, with how often it was restarted and how it ended then.
func is(state corev1.ContainerState, restarts int32, last corev1.ContainerState) corev1.ContainerStatus {
	return corev1.ContainerStatus{Name: "app", State: state, RestartCount: restarts, LastTerminationState: last}
}

func isReady(s corev1.ContainerStatus) corev1.ContainerStatus {
	s.Ready = true
	return s
}

func TestTroubleOfAContainer(t *testing.T) {
	const (
		notPulled   = "the image of container app cannot be pulled"
		exits       = "container app exits with code 1"
		memory      = "container app is killed for its memory"
		notStarted  = "container app cannot be created: RunContainerError"
		byKill      = "container app is killed by signal 9"
		endsAtOnce  = "container app exits with code 0"
		notCreated  = "container app cannot be created: CreateContainerError"
		misses      = "container app cannot be created: CreateContainerConfigError"
		bySegfault  = "container app is killed by signal 11"
		exitsHighly = "container app exits with code 255"
	)
	none := corev1.ContainerState{}
	tests := map[string]struct {
		status corev1.ContainerStatus
		init   bool
		want   string
	}{
		"no word of it yet":                   {status: is(none, 0, none)},
		"it is being created":                 {status: is(waiting("ContainerCreating"), 0, none)},
		"it waits for its init containers":    {status: is(waiting("PodInitializing"), 0, none)},
		"it runs and is not ready":            {status: is(isRunning(), 0, none)},
		"it runs and is ready":                {status: isReady(is(isRunning(), 0, none))},
		"it is ready, after restarts":         {status: isReady(is(isRunning(), 4, terminated(1, "Error")))},
		"it ended once, and starts again":     {status: is(terminated(1, "Error"), 0, none)},
		"a crash loop, just ended":            {status: is(terminated(1, "Error"), 2, terminated(1, "Error")), want: exits},
		"a crash loop, backing off":           {status: is(waiting("CrashLoopBackOff"), 2, terminated(1, "Error")), want: exits},
		"a crash loop, running":               {status: is(isRunning(), 3, terminated(1, "Error")), want: exits},
		"a crash loop, being created":         {status: is(waiting("ContainerCreating"), 3, terminated(1, "Error")), want: exits},
		"a crash loop whose last end is lost": {status: is(waiting("CrashLoopBackOff"), 3, none)},
		"the last end tells, not the one before": {
			status: is(terminated(1, "Error"), 2, terminated(137, "OOMKilled")), want: exits,
		},
		"it ends without an error":       {status: is(waiting("CrashLoopBackOff"), 2, terminated(0, "Completed")), want: endsAtOnce},
		"it takes too much memory":       {status: is(waiting("CrashLoopBackOff"), 2, terminated(137, "OOMKilled")), want: memory},
		"it is killed":                   {status: is(waiting("CrashLoopBackOff"), 2, terminated(137, "Error")), want: byKill},
		"it breaks down":                 {status: is(waiting("CrashLoopBackOff"), 2, terminated(139, "Error")), want: bySegfault},
		"an exit code that is no signal": {status: is(waiting("CrashLoopBackOff"), 2, terminated(255, "Error")), want: exitsHighly},
		"a signal in its own field": {
			status: is(isRunning(), 1, corev1.ContainerState{Terminated: &corev1.ContainerStateTerminated{Signal: 9}}), want: byKill,
		},
		"it was lost":                           {status: is(isRunning(), 1, terminated(137, "ContainerStatusUnknown"))},
		"the pull failed":                       {status: is(waiting("ErrImagePull"), 0, none), want: notPulled},
		"the pull failed, backing off":          {status: is(waiting("ImagePullBackOff"), 0, none), want: notPulled},
		"the pull fails after a crash":          {status: is(waiting("ImagePullBackOff"), 2, terminated(1, "Error")), want: notPulled},
		"the image's name is none":              {status: is(waiting("InvalidImageName"), 0, none), want: notPulled},
		"the image is not on the node":          {status: is(waiting("ErrImageNeverPull"), 0, none), want: notPulled},
		"the image cannot be looked at":         {status: is(waiting("ImageInspectError"), 0, none), want: notPulled},
		"the registry is away":                  {status: is(waiting("RegistryUnavailable"), 0, none), want: notPulled},
		"the image's signature is wrong":        {status: is(waiting("SignatureValidationFailed"), 0, none), want: notPulled},
		"a ConfigMap is missing":                {status: is(waiting("CreateContainerConfigError"), 0, none), want: misses},
		"the runtime refuses it":                {status: is(waiting("CreateContainerError"), 0, none), want: notCreated},
		"its program is missing":                {status: is(waiting("RunContainerError"), 0, terminated(128, "StartError")), want: notStarted},
		"its program is missing, just ended":    {status: is(terminated(128, "StartError"), 0, none), want: notStarted},
		"its program is missing, backing off":   {status: is(waiting("CrashLoopBackOff"), 2, terminated(128, "StartError")), want: notStarted},
		"its program is missing, says Docker":   {status: is(waiting("CrashLoopBackOff"), 2, terminated(127, "ContainerCannotRun")), want: notStarted},
		"a reason that nobody knows":            {status: is(waiting(secret), 0, none)},
		"an end for a reason that nobody knows": {status: is(isRunning(), 1, terminated(1, secret)), want: exits},

		"an init container is done":             {init: true, status: isReady(is(terminated(0, "Completed"), 0, none))},
		"an init container is done, in the end": {init: true, status: isReady(is(terminated(0, "Completed"), 2, terminated(1, "Error")))},
		"an init container runs once more":      {init: true, status: is(isRunning(), 1, terminated(0, "Completed"))},
		"an init container fails":               {init: true, status: is(waiting("CrashLoopBackOff"), 2, terminated(1, "Error")), want: exits},
		"an init container is tried again":      {init: true, status: is(isRunning(), 2, terminated(1, "Error")), want: exits},
	}
	for name, tc := range tests {
		t.Run(name, func(t *testing.T) {
			p := &corev1.Pod{}
			if tc.init {
				p.Spec.InitContainers = []corev1.Container{{Name: "app"}}
				p.Status.InitContainerStatuses = []corev1.ContainerStatus{tc.status}
			} else {
				p.Spec.Containers = []corev1.Container{{Name: "app"}}
				p.Status.ContainerStatuses = []corev1.ContainerStatus{tc.status}
			}
			if got := Trouble(p); got != tc.want {
				t.Errorf("Trouble = %q, want %q", got, tc.want)
			}
		})
	}
}

func TestTroubleOfAPod(t *testing.T) {
	failing := func(name string) corev1.ContainerStatus {
		return corev1.ContainerStatus{Name: name, State: waiting("ErrImagePull")}
	}
	condition := func(kind corev1.PodConditionType, status corev1.ConditionStatus, reason string) corev1.PodStatus {
		return corev1.PodStatus{Conditions: []corev1.PodCondition{{Type: kind, Status: status, Reason: reason, Message: secret}}}
	}
	tests := map[string]struct {
		status corev1.PodStatus
		want   string
	}{
		"nothing is known": {},
		"the first in the order of the spec": {
			status: corev1.PodStatus{ContainerStatuses: []corev1.ContainerStatus{failing("a"), failing("z")}},
			want:   "the image of container z cannot be pulled",
		},
		"one that is in no trouble is passed over": {
			status: corev1.PodStatus{ContainerStatuses: []corev1.ContainerStatus{failing("a"), {Name: "z", Ready: true}}},
			want:   "the image of container a cannot be pulled",
		},
		"an init container before all others": {
			status: corev1.PodStatus{
				ContainerStatuses: []corev1.ContainerStatus{failing("z")}, InitContainerStatuses: []corev1.ContainerStatus{failing("init")},
			},
			want: "the image of container init cannot be pulled",
		},
		"no node has room": {
			status: condition(corev1.PodScheduled, corev1.ConditionFalse, corev1.PodReasonUnschedulable), want: "a pod cannot be scheduled",
		},
		"somebody keeps it from being scheduled": {
			status: condition(corev1.PodScheduled, corev1.ConditionFalse, corev1.PodReasonSchedulingGated),
		},
		"it is scheduled": {
			status: condition(corev1.PodScheduled, corev1.ConditionTrue, ""),
		},
		"another condition is false": {
			status: condition(corev1.PodReady, corev1.ConditionFalse, "ContainersNotReady"),
		},
	}
	for name, tc := range tests {
		t.Run(name, func(t *testing.T) {
			p := &corev1.Pod{
				Spec: corev1.PodSpec{
					InitContainers: []corev1.Container{{Name: "init"}},
					Containers:     []corev1.Container{{Name: "z"}, {Name: "a"}},
				},
				Status: tc.status,
			}
			if got := Trouble(p); got != tc.want {
				t.Errorf("Trouble = %q, want %q", got, tc.want)
			}
		})
	}
}

func TestRunningTellsTheTrouble(t *testing.T) {
	crashing := func(name string, code int32, change ...func(*corev1.Pod)) corev1.Pod {
		return pod("", append([]func(*corev1.Pod){func(p *corev1.Pod) {
			p.Name = name
			p.Spec.Containers = append(p.Spec.Containers, corev1.Container{Name: "log", Image: "busybox"})
			p.Status.ContainerStatuses[0].RestartCount = 1
			p.Status.ContainerStatuses[0].LastTerminationState = terminated(code, "Error")
		}}, change...)...)
	}
	tests := map[string]struct {
		pods []corev1.Pod
		want string
	}{
		"no pods": {},
		"the first pod by name that is in trouble": {
			pods: []corev1.Pod{
				crashing("web-3", 3), crashing("web-2", 2),
				crashing("web-1", 1, func(p *corev1.Pod) { p.Status.ContainerStatuses[0].Ready = true }), crashing("web-4", 4),
			},
			want: "container web exits with code 2",
		},
		"a container that the template does not know keeps the pod down, too": {
			pods: []corev1.Pod{crashing("web-1", 1, func(p *corev1.Pod) {
				p.Spec.Containers = append(p.Spec.Containers, corev1.Container{Name: "proxy", Image: "proxy"})
				p.Status.ContainerStatuses = []corev1.ContainerStatus{{Name: "proxy", State: waiting("ErrImagePull")}}
			})},
			want: "the image of container proxy cannot be pulled",
		},
		"pods that end, are of a former template, or are not the workload's": {
			pods: []corev1.Pod{
				crashing("web-1", 1, func(p *corev1.Pod) { p.DeletionTimestamp = &later }),
				crashing("web-2", 1, func(p *corev1.Pod) { p.Status.Phase = corev1.PodFailed }),
				crashing("web-3", 1, func(p *corev1.Pod) { p.Spec.Containers[0].Image = webImage + "@" + digestB }),
				crashing("web-4", 1, func(p *corev1.Pod) { p.Spec.Containers[1].Image = "busybox:1" }),
				crashing("web-5", 1, func(p *corev1.Pod) { p.Labels = nil }),
				crashing("web-6", 1, func(p *corev1.Pod) { p.Namespace = "prod" }),
			},
		},
	}
	for name, tc := range tests {
		t.Run(name, func(t *testing.T) {
			w := plan.Workload{
				Kind: "Deployment", Namespace: "shop", UID: "u-1", Trouble: "of before",
				Containers: []plan.Container{{Name: "web", Image: webImage}, {Name: "log", Image: "busybox"}},
			}
			selector, err := Selector(web())
			if err != nil {
				t.Fatal(err)
			}
			if got := Running(w, selector, tc.pods).Trouble; got != tc.want {
				t.Errorf("Trouble = %q, want %q", got, tc.want)
			}
		})
	}
}
