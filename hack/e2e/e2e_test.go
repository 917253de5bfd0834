// SPDX-License-Identifier: Apache-2.0
// Copyright The Image Lineage Authors

package main

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestCluster(t *testing.T) {
	for title, tc := range map[string]struct {
		machine machine
		want    clusterSource
		wantErr string
	}{
		"a named cluster is used, whoever one is": {
			machine: machine{kubeconfig: "k", registry: "r"}, want: clusterGiven,
		},
		"root on Debian brings up a cluster": {
			machine: machine{root: true, debian: true, required: true}, want: clusterOwn,
		},
		"a KUBECONFIG alone is not taken for consent": {
			machine: machine{kubeconfig: "k", root: true, debian: true}, want: clusterOwn,
		},
		"a registry without a cluster is a mistake": {
			machine: machine{registry: "r", root: true, debian: true}, wantErr: "set both, or neither",
		},
		"another user gets a notice": {
			machine: machine{debian: true}, want: clusterNone,
		},
		"another system gets a notice": {
			machine: machine{root: true}, want: clusterNone,
		},
		"what is required and cannot be had is a failure": {
			machine: machine{debian: true, required: true}, wantErr: "E2E=required",
		},
	} {
		t.Run(title, func(t *testing.T) {
			got, err := tc.machine.cluster()
			checkError(t, err, tc.wantErr)
			if got != tc.want {
				t.Errorf("want %v, got %v", tc.want, got)
			}
		})
	}
}

func TestParseEnv(t *testing.T) {
	for title, tc := range map[string]struct {
		out          string
		want         endpoints
		wantComplete bool
	}{
		"all on one line": {
			out:          "export KUBECONFIG=/tmp/config REGISTRY=10.1.0.1:5000 AUDIT_LOG=/tmp/audit.log\n",
			want:         endpoints{"KUBECONFIG": "/tmp/config", "REGISTRY": "10.1.0.1:5000", "AUDIT_LOG": "/tmp/audit.log"},
			wantComplete: true,
		},
		"a line for each, quoted": {
			out:          "KUBECONFIG='/tmp/config'\nREGISTRY=\"10.1.0.1:5000\"\n",
			want:         endpoints{"KUBECONFIG": "/tmp/config", "REGISTRY": "10.1.0.1:5000"},
			wantComplete: true,
		},
		"one of two is not enough": {
			out:  "export KUBECONFIG=/tmp/config\n",
			want: endpoints{"KUBECONFIG": "/tmp/config"},
		},
		"a cluster that is down": {out: "The cluster is down.\n", want: endpoints{}},
	} {
		t.Run(title, func(t *testing.T) {
			got := parseEnv(tc.out)
			if diff := cmp.Diff(tc.want, got); diff != "" {
				t.Errorf("endpoints (-want +got):\n%s", diff)
			}
			if got.complete() != tc.wantComplete {
				t.Errorf("complete: want %v, got %v", tc.wantComplete, got.complete())
			}
		})
	}
}

func TestRead(t *testing.T) {
	in := `{"Action":"start","Package":"p"}
{"Action":"run","Test":"TestA"}
{"Action":"output","Test":"TestA","Output":"hello\n"}
{"Action":"pass","Test":"TestA/sub"}
{"Action":"pass","Test":"TestA"}
{"Action":"skip","Test":"TestB"}
plain text of the compiler
{"Action":"fail","Package":"p"}`
	var out strings.Builder
	got, err := read(strings.NewReader(in), &out)
	if err != nil {
		t.Fatal(err)
	}
	want := map[string]string{"TestA": "pass", "TestA/sub": "pass", "TestB": "skip"}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("results (-want +got):\n%s", diff)
	}
	if diff := cmp.Diff("hello\nplain text of the compiler\n", out.String()); diff != "" {
		t.Errorf("output (-want +got):\n%s", diff)
	}
}

func TestCompare(t *testing.T) {
	for title, tc := range map[string]struct {
		list    string
		ran     map[string]string
		wantErr string
	}{
		"every listed story passed": {
			list: "# stories\nTestA\nTestA/sub # the details\n\n",
			ran:  map[string]string{"TestA": "pass", "TestA/sub": "pass", "TestA/other": "pass"},
		},
		"a story was skipped": {
			list: "TestA", ran: map[string]string{"TestA": "skip"}, wantErr: "TestA did not pass: skip",
		},
		"a story was not even compiled": {
			list: "TestA\nTestB", ran: map[string]string{"TestA": "pass"}, wantErr: "TestB did not run",
		},
		"a story is not listed": {
			list: "TestA", ran: map[string]string{"TestA": "pass", "TestB": "pass"}, wantErr: "TestB ran and is not listed",
		},
		"an empty list proves nothing": {
			list: "# none yet", ran: map[string]string{}, wantErr: "lists no story",
		},
	} {
		t.Run(title, func(t *testing.T) {
			checkError(t, compare(parseList(tc.list), tc.ran), tc.wantErr)
		})
	}
}

func checkError(t *testing.T, err error, want string) {
	t.Helper()
	switch {
	case want == "" && err != nil:
		t.Fatalf("want no error, got %v", err)
	case want != "" && (err == nil || !strings.Contains(err.Error(), want)):
		t.Fatalf("want an error with %q, got %v", want, err)
	}
}
