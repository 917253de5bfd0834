package prereq

import (
	"strings"
	"testing"
)

func TestNodeNamesEveryMissingThing(t *testing.T) {
	nothing := Machine{UID: 1000, Has: func(string) bool { return false }}
	err := nothing.Node()
	if err == nil {
		t.Fatal("a machine with nothing passed")
	}
	for _, wanted := range []string{"git: apt-get install git", "make:", "Go:", "root:", "Debian:"} {
		if !strings.Contains(err.Error(), wanted) {
			t.Errorf("%q is not named in:\n%v", wanted, err)
		}
	}
	all := Machine{Debian: true, Has: func(string) bool { return true }}
	if err := all.Node(); err != nil {
		t.Errorf("a machine with everything lacks %v", err)
	}
}

func TestToolsNeedNoRoot(t *testing.T) {
	user := Machine{UID: 1000, Has: func(string) bool { return true }}
	if err := user.Tools(); err != nil {
		t.Errorf("compiling alone asks for %v", err)
	}
}
