// SPDX-License-Identifier: Apache-2.0
// Copyright The Image Lineage Authors

package plan

import (
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/imagelineage/imagelineage/api/v1alpha1"
)

func moment(rfc3339 string) time.Time {
	at, err := time.Parse(time.RFC3339, rfc3339)
	if err != nil {
		panic(err)
	}
	return at
}

func windowed(windows ...v1alpha1.BuildWindow) func(*Snapshot) {
	return func(s *Snapshot) { s.Lineage.Spec.Build.Windows = windows }
}

// TestHours: the clocks of Berlin are put forward at 02:00 on 2026-03-29 (01:00 UTC), and
// back at 03:00 on 2026-10-25 (01:00 UTC); those of New York back at 02:00 on 2026-11-01.
func TestHours(t *testing.T) {
	berlin := func(schedule string, duration v1alpha1.Duration) v1alpha1.BuildWindow {
		return v1alpha1.BuildWindow{Schedule: schedule, Duration: duration, TimeZone: "Europe/Berlin"}
	}
	nightly := v1alpha1.BuildWindow{Schedule: "0 22 * * *", Duration: "4h"}
	tests := map[string]struct {
		windows []v1alpha1.BuildWindow
		at      string
		want    []string
	}{
		"before it opens":                  {windows: []v1alpha1.BuildWindow{nightly}, at: "2026-11-03T21:59:59.999Z", want: []string{"2026-11-03T22:00:00Z", "2026-11-04T02:00:00Z"}},
		"as it opens":                      {windows: []v1alpha1.BuildWindow{nightly}, at: "2026-11-03T22:00:00Z", want: []string{"now", "2026-11-04T02:00:00Z"}},
		"after midnight":                   {windows: []v1alpha1.BuildWindow{nightly}, at: "2026-11-04T01:59:59.999Z", want: []string{"now", "2026-11-04T02:00:00Z"}},
		"as it closes":                     {windows: []v1alpha1.BuildWindow{nightly}, at: "2026-11-04T02:00:00Z", want: []string{"2026-11-04T22:00:00Z", "2026-11-05T02:00:00Z"}},
		"over a weekend":                   {windows: []v1alpha1.BuildWindow{{Schedule: "0 22 * * mon-fri", Duration: "4h"}}, at: "2026-11-07T02:00:00Z", want: []string{"2026-11-09T22:00:00Z", "2026-11-10T02:00:00Z"}},
		"the next of two":                  {windows: []v1alpha1.BuildWindow{nightly, {Schedule: "30 12 * * *", Duration: "30m"}}, at: "2026-11-04T12:00:00Z", want: []string{"2026-11-04T12:30:00Z", "2026-11-04T13:00:00Z"}},
		"open until the last of two":       {windows: []v1alpha1.BuildWindow{{Schedule: "0 22 * * *", Duration: "1h"}, nightly}, at: "2026-11-03T22:30:00Z", want: []string{"now", "2026-11-04T02:00:00Z"}},
		"longer than its period":           {windows: []v1alpha1.BuildWindow{{Schedule: "0 0 * * *", Duration: "25h"}}, at: "2026-11-03T23:59:00Z", want: []string{"now", "2026-11-04T01:00:00Z"}},
		"by the clock of its zone":         {windows: []v1alpha1.BuildWindow{berlin("0 22 * * *", "1h")}, at: "2026-07-01T12:00:00Z", want: []string{"2026-07-01T20:00:00Z", "2026-07-01T21:00:00Z"}},
		"in winter by the clock of winter": {windows: []v1alpha1.BuildWindow{berlin("0 22 * * *", "1h")}, at: "2026-12-01T12:00:00Z", want: []string{"2026-12-01T21:00:00Z", "2026-12-01T22:00:00Z"}},
		"an opening that the clock skips":  {windows: []v1alpha1.BuildWindow{berlin("30 2 * * 0", "3h")}, at: "2026-03-28T12:00:00Z", want: []string{"2026-03-29T01:00:00Z", "2026-03-29T04:00:00Z"}},
		"open after a skipped opening":     {windows: []v1alpha1.BuildWindow{berlin("30 2 * * 0", "3h")}, at: "2026-03-29T01:00:00Z", want: []string{"now", "2026-03-29T04:00:00Z"}},
		"open while the clock is put on":   {windows: []v1alpha1.BuildWindow{berlin("30 1 * * *", "1h")}, at: "2026-03-29T01:10:00Z", want: []string{"now", "2026-03-29T01:30:00Z"}},
		"the first of two readings":        {windows: []v1alpha1.BuildWindow{berlin("30 2 * * *", "1h")}, at: "2026-10-24T22:00:00Z", want: []string{"2026-10-25T00:30:00Z", "2026-10-25T01:30:00Z"}},
		"not the second of them":           {windows: []v1alpha1.BuildWindow{berlin("30 2 * * *", "30m")}, at: "2026-10-25T01:30:00Z", want: []string{"2026-10-26T01:30:00Z", "2026-10-26T02:00:00Z"}},
		"hourly, in the hour that is left": {windows: []v1alpha1.BuildWindow{berlin("0 * * * *", "10m")}, at: "2026-10-25T00:30:00Z", want: []string{"2026-10-25T02:00:00Z", "2026-10-25T02:10:00Z"}},
		"west of Greenwich": {
			windows: []v1alpha1.BuildWindow{{Schedule: "30 1 * * *", Duration: "2h", TimeZone: "America/New_York"}},
			at:      "2026-11-01T07:29:00Z", want: []string{"now", "2026-11-01T07:30:00Z"},
		},
		"half an hour of summer": {
			windows: []v1alpha1.BuildWindow{{Schedule: "15 2 * * *", Duration: "1h", TimeZone: "Australia/Lord_Howe"}},
			at:      "2026-10-03T12:00:00Z", want: []string{"2026-10-03T15:30:00Z", "2026-10-03T16:30:00Z"},
		},
		"none declared": {at: "2026-11-03T12:00:00Z", want: []string{"never", "never"}},
	}
	for name, tc := range tests {
		t.Run(name, func(t *testing.T) {
			windows, err := windowsOf(snapshot(windowed(tc.windows...)).Lineage)
			if err != nil {
				t.Fatal(err)
			}
			at := moment(tc.at)
			var got []string
			opens, closes := hours(windows, at)
			for _, when := range []time.Time{opens, closes} {
				switch {
				case when.IsZero():
					got = append(got, "never")
				case when.Equal(at):
					got = append(got, "now")
				default:
					got = append(got, when.UTC().Format(time.RFC3339Nano))
				}
			}
			if diff := cmp.Diff(tc.want, got); diff != "" {
				t.Errorf("opens and closes (-want +got):\n%s", diff)
			}
		})
	}
}

// TestEveryNightHasItsWindow: at any minute of a year, in zones that change their clocks
// in all ways, one nightly window opens within a day and an hour, and never twice a night.
func TestEveryNightHasItsWindow(t *testing.T) {
	for _, zone := range []string{"Europe/Berlin", "America/New_York", "Australia/Lord_Howe", "Asia/Kathmandu", "UTC"} {
		for _, schedule := range []string{"0 0 * * *", "30 1 * * *", "15 2 * * *", "59 2 * * *"} {
			w, err := windowOf(v1alpha1.BuildWindow{Schedule: schedule, Duration: "1h", TimeZone: zone})
			if err != nil {
				t.Fatal(err)
			}
			end := moment("2027-01-01T12:00:00Z")
			for at := w.next(moment("2026-01-01T12:00:00Z")); at.Before(end); {
				next := w.next(at)
				if between := next.Sub(at); between < 23*time.Hour || between > 25*time.Hour {
					t.Errorf("%s %s: %s after %s", zone, schedule, between, at)
				}
				if closes := w.closes(at); !closes.Equal(at.Add(time.Hour)) {
					t.Errorf("%s %s: opened at %s, closes at %s", zone, schedule, at, closes)
				}
				at = next
			}
		}
	}
}

func TestWindowsThatCannotBeRead(t *testing.T) {
	tests := map[string]struct {
		window v1alpha1.BuildWindow
		want   string
	}{
		"too few fields": {
			window: v1alpha1.BuildWindow{Schedule: "0 22 * *", Duration: "4h"},
			want:   `spec.build.windows[0].schedule: "0 22 * *" is no cron schedule; write five fields (minute, hour, day, month, weekday) such as 0 22 * * 1-5`,
		},
		"with seconds":           {window: v1alpha1.BuildWindow{Schedule: "0 0 22 * * *", Duration: "4h"}, want: "windows[0].schedule"},
		"an hour that is none":   {window: v1alpha1.BuildWindow{Schedule: "0 24 * * *", Duration: "4h"}, want: "windows[0].schedule"},
		"a word for a schedule":  {window: v1alpha1.BuildWindow{Schedule: "@daily", Duration: "4h"}, want: "windows[0].schedule"},
		"a zone in the schedule": {window: v1alpha1.BuildWindow{Schedule: "TZ=UTC 0 22 * * *", Duration: "4h"}, want: "write that into timeZone"},
		"half a zone in it":      {window: v1alpha1.BuildWindow{Schedule: "CRON_TZ=UTC", Duration: "4h"}, want: "write that into timeZone"},
		"a day that never comes": {window: v1alpha1.BuildWindow{Schedule: "0 0 31 2,4 *", Duration: "4h"}, want: `"0 0 31 2,4 *" never comes`},
		"a zone of nowhere": {
			window: v1alpha1.BuildWindow{Schedule: "0 22 * * *", Duration: "4h", TimeZone: "Europe/Atlantis"},
			want:   `spec.build.windows[0].timeZone: "Europe/Atlantis" is no time zone of the IANA database; write one such as Europe/Berlin, or remove it for UTC`,
		},
		"the machine's zone":       {window: v1alpha1.BuildWindow{Schedule: "0 22 * * *", Duration: "4h", TimeZone: "local"}, want: "windows[0].timeZone"},
		"a path":                   {window: v1alpha1.BuildWindow{Schedule: "0 22 * * *", Duration: "4h", TimeZone: "../../../etc/localtime"}, want: "windows[0].timeZone"},
		"a duration without units": {window: v1alpha1.BuildWindow{Schedule: "0 22 * * *", Duration: "4"}, want: "windows[0].duration"},
	}
	for name, tc := range tests {
		t.Run(name, func(t *testing.T) {
			s := snapshot(parentShows(b), windowed(tc.window))
			got := Compute(s)
			if told(got) != "problem InvalidSpec" || got.Problem.Passing || !strings.Contains(got.Problem.Message, tc.want) {
				t.Errorf("plan is %q, %+v; want a problem that tells %q", told(got), got.Problem, tc.want)
			}
			if !Settled(s.subjectOf(), false) {
				t.Error("others wait for it")
			}
		})
	}
}

// subjectOf is the lineage as its children judge it.
func (s Snapshot) subjectOf() Subject {
	return Subject{Lineage: s.Lineage, Parents: s.Parents, Template: s.Template, Now: s.Now}
}

// FuzzWindow: whatever is written, it is read or refused, and what is read opens.
func FuzzWindow(f *testing.F) {
	for _, seed := range [][3]string{
		{"0 22 * * 1-5", "4h", "Europe/Berlin"},
		{"*/7 1,3 1-15/2 jan-mar sun", "90s", ""},
		{"TZ=0", "1h", "UTC"},
		{"0 0 29 2 *", "99999h99999h", "Pacific/Apia"},
		{"0-9999999999 * * * *", "1ms", "Local"},
		{"1/0 * * * *", "1m", "Etc/GMT+12"},
	} {
		f.Add(seed[0], seed[1], seed[2], int64(1_793_534_400))
	}
	f.Fuzz(func(t *testing.T, schedule, duration, zone string, unix int64) {
		w, err := windowOf(v1alpha1.BuildWindow{Schedule: schedule, Duration: v1alpha1.Duration(duration), TimeZone: zone})
		if err != nil {
			return
		}
		// From 2000 to 2090: a February with 29 days is never far.
		at := time.Unix(946_684_800+max(unix, -unix, 0)%2_840_140_800, 0)
		opens, closes := hours([]window{w}, at)
		if opens.Before(at) || !closes.After(opens) {
			t.Errorf("%q for %q in %q at %s: opens %s, closes %s", schedule, duration, zone, at, opens, closes)
		}
	})
}
