// SPDX-License-Identifier: Apache-2.0
// Copyright The Image Lineage Authors

package plan

import (
	"fmt"
	"strings"
	"time"
	_ "time/tzdata" // the operator's image has no files: its zones are in the binary

	"github.com/robfig/cron/v3"

	"github.com/imagelineage/imagelineage/api/v1alpha1"
)

// window is one entry of spec.build.windows, ready to be used.
type window struct {
	opens    cron.Schedule
	duration time.Duration
	zone     *time.Location
}

// fiveFields is the syntax of crontab(5), without seconds and without @daily and its
// like, which say nothing that five fields do not.
var fiveFields = cron.NewParser(cron.Minute | cron.Hour | cron.Dom | cron.Month | cron.Dow)

// windowsOf are a lineage's build windows, none where it may build at any time. The
// error names the field and the cure.
func windowsOf(l *v1alpha1.ImageLineage) ([]window, error) {
	if l.Spec.Build == nil {
		return nil, nil
	}
	var windows []window
	for i, declared := range l.Spec.Build.Windows {
		w, err := windowOf(declared)
		if err != nil {
			return nil, fmt.Errorf("spec.build.windows[%d].%w", i, err)
		}
		windows = append(windows, w)
	}
	return windows, nil
}

// windowOf reads a window. Time zones follow the rules of Kubernetes' CronJob: in
// timeZone only, and never that of the machine.
func windowOf(declared v1alpha1.BuildWindow) (window, error) {
	opens, err := parseSchedule(declared.Schedule)
	if err != nil {
		return window{}, fmt.Errorf("schedule: %w", err)
	}
	duration, err := time.ParseDuration(string(declared.Duration))
	if err != nil || duration <= 0 {
		return window{}, fmt.Errorf("duration: %q is no span of time; write one such as 4h or 1h30m", declared.Duration)
	}
	zone := time.UTC
	if declared.TimeZone != "" {
		zone, err = time.LoadLocation(declared.TimeZone)
	}
	if err != nil || strings.EqualFold(declared.TimeZone, "Local") {
		return window{}, fmt.Errorf("timeZone: %q is no time zone of the IANA database; write one such as Europe/Berlin, or remove it for UTC", declared.TimeZone)
	}
	return window{opens: opens, duration: duration, zone: zone}, nil
}

func parseSchedule(schedule string) (cron.Schedule, error) {
	if strings.Contains(schedule, "TZ") {
		return nil, fmt.Errorf("%q names a time zone; write that into timeZone", schedule)
	}
	opens, err := fiveFields.Parse(schedule)
	if err != nil {
		return nil, fmt.Errorf("%q is no cron schedule; write five fields (minute, hour, day, month, weekday) such as 0 22 * * 1-5", schedule)
	}
	// A leap year is among the years that are looked at.
	if opens.Next(time.Unix(0, 0).UTC()).IsZero() {
		return nil, fmt.Errorf("%q never comes; no such month has such a day", schedule)
	}
	return opens, nil
}

// maxShift is more than any clock is put forward or back in summer and winter.
const maxShift = 3 * time.Hour

// next is the first opening after a moment; zero where there is none for years. The
// schedule is read by the wall clock of the window's zone. What that clock skips opens
// when it is put forward, so that no night goes without a window; what it shows twice
// opens the first time.
func (w window) next(after time.Time) time.Time {
	reading := readingOf(after.In(w.zone)).Add(-maxShift)
	for {
		reading = w.opens.Next(reading)
		if reading.IsZero() {
			return time.Time{}
		}
		if at := firstMoment(reading, w.zone); at.After(after) {
			return at
		}
	}
}

// closes is when a window closes that is open at a moment; zero where it is closed.
func (w window) closes(at time.Time) time.Time {
	opened := w.next(at.Add(-w.duration))
	if opened.IsZero() || opened.After(at) {
		return time.Time{}
	}
	return opened.Add(w.duration)
}

// readingOf is what the wall clock shows, as a time that can be calculated with: in
// UTC no clock is ever put forward or back.
func readingOf(at time.Time) time.Time {
	return time.Date(at.Year(), at.Month(), at.Day(), at.Hour(), at.Minute(), at.Second(), at.Nanosecond(), time.UTC)
}

// firstMoment is when a zone's wall clock first shows a reading, or goes past it.
func firstMoment(reading time.Time, zone *time.Location) time.Time {
	at := time.Date(reading.Year(), reading.Month(), reading.Day(), reading.Hour(), reading.Minute(), reading.Second(), 0, zone)
	began, ends := at.ZoneBounds()
	switch shown := readingOf(at); {
	case shown.After(reading):
		return began
	case shown.Before(reading):
		return ends
	case began.IsZero():
		return at
	}
	_, offset := at.Zone()
	_, before := began.Add(-time.Second).Zone()
	if earlier := at.Add(time.Duration(offset-before) * time.Second); earlier.Before(began) {
		return earlier
	}
	return at
}

// hours tell when builds may begin: from opens, which is the moment itself where a
// window is open, until closes. Both are zero where they may at any time.
func hours(windows []window, at time.Time) (opens, closes time.Time) {
	for _, w := range windows {
		if end := w.closes(at); end.After(closes) {
			opens, closes = at, end
		}
	}
	if !closes.IsZero() {
		return opens, closes
	}
	for _, w := range windows {
		if next := w.next(at); !next.IsZero() && (opens.IsZero() || next.Before(opens)) {
			opens, closes = next, next.Add(w.duration)
		}
	}
	return opens, closes
}

// buildHours tell when the build that is due may begin, as hours do. What a person calls
// urgent may begin at any time; windows that cannot be read are a problem of their own.
func buildHours(s Subject) (opens, closes time.Time) {
	windows, err := windowsOf(s.Lineage)
	if err != nil || len(urgency(s)) > 0 {
		return time.Time{}, time.Time{}
	}
	return hours(windows, s.Now)
}

// outsideWindows is true where the build that is due waits for its window.
func outsideWindows(s Subject) bool {
	opens, _ := buildHours(s)
	return opens.After(s.Now)
}

// holdOutsideWindows is true where the build that is due waits for its window. One that
// may begin is looked at again when its window closes: nobody has to wait for it then.
func (d *decision) holdOutsideWindows(headline Verdict) bool {
	opens, closes := buildHours(d.subject)
	if !opens.After(d.Now) {
		d.again(closes.Sub(d.Now))
		return false
	}
	d.again(opens.Sub(d.Now))
	d.holdBuild(v1alpha1.ReasonHeldWindow, "a build begins at %s (spec.build.windows), or at once with the annotation %s: %sREASON; why it is due: %s",
		opens.UTC().Format(time.RFC3339), v1alpha1.RebuildAnnotation, urgentPrefix, headline.Message)
	return true
}
