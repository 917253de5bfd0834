package images

import "testing"

func TestParseDeb822(t *testing.T) {
	text := `Types: deb
URIs: https://packages.vendor.example/node
Suites: nodistro
Components: main

# the archive itself
Types: deb
URIs: http://archive.example/debian
Suites: bookworm bookworm-updates
Components: main
Signed-By:
 -----BEGIN PGP PUBLIC KEY BLOCK-----
`
	if got, want := parseDeb822(text), "http://archive.example/debian"; got != want {
		t.Errorf("got %q, want %q", got, want)
	}
	disabled := "Enabled: no\nTypes: deb\nURIs: http://archive.example/debian\nSuites: bookworm\nComponents: main\n"
	if got := parseDeb822(disabled); got != "" {
		t.Errorf("a disabled stanza gave %q", got)
	}
}

func TestParseOneLine(t *testing.T) {
	text := `# deb http://commented.example/debian bookworm main
deb-src http://source.example/debian bookworm main
deb https://packages.vendor.example/apt bookworm stable
deb [arch=amd64 signed-by=/usr/share/keyrings/x.gpg] http://security.example/debian-security bookworm-security main
deb [arch=amd64] http://archive.example/debian bookworm main contrib
`
	if got, want := parseOneLine(text), "http://archive.example/debian"; got != want {
		t.Errorf("got %q, want %q", got, want)
	}
}
