// SPDX-License-Identifier: Apache-2.0
// Copyright The Image Lineage Authors

package v1alpha1

// BuildApproval says whether builds need a person's approval.
//
// +kubebuilder:validation:Enum=Required
type BuildApproval string

// ApprovalRequired has each build wait for a person's approval.
const ApprovalRequired BuildApproval = "Required"

// BuildWindow is a time that comes again and again.
type BuildWindow struct {
	// schedule is when the window opens, as a cron schedule of five fields: minute,
	// hour, day of the month, month and day of the week.
	//
	// +required
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=128
	Schedule string `json:"schedule"`

	// duration is how long it stays open; at least 1m.
	//
	// +required
	// +kubebuilder:validation:XValidation:rule="!self.matches('^([0-9]{1,5}(h|m|s|ms)){1,4}$') || duration(self) >= duration('1m')",message="build.windows[].duration must be at least 1m"
	Duration Duration `json:"duration"`

	// timeZone by whose clock the schedule is read, as the IANA database names it
	// (Europe/Berlin); by default UTC. Where that clock is put forward past an opening,
	// the window opens at that moment.
	//
	// +optional
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=64
	TimeZone string `json:"timeZone,omitempty"`
}
