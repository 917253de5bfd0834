package pieces

import (
	"strings"
	"testing"
)

func TestStamps(t *testing.T) {
	got := stamps("v1.37.2")
	for _, wanted := range []string{
		"-X k8s.io/component-base/version.gitVersion=v1.37.2",
		"-X k8s.io/component-base/version.gitMajor=1",
		"-X k8s.io/component-base/version.gitMinor=37",
	} {
		if !strings.Contains(got, wanted) {
			t.Errorf("%q is not in %q", wanted, got)
		}
	}
}
