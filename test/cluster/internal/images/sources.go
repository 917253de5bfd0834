package images

import (
	"fmt"
	"os"
	"path/filepath"
	"sort"
	"strings"
)

// Suite is the Debian release the images are made of.
const Suite = "bookworm"

// Mirror is the address of the Debian archive this machine's apt is configured
// with. The tool asks no other place: behind a proxy or a firm's mirror, what
// apt uses is what works.
func Mirror() (string, error) {
	var paths []string
	for _, pattern := range []string{"/etc/apt/sources.list", "/etc/apt/sources.list.d/*.sources", "/etc/apt/sources.list.d/*.list"} {
		found, err := filepath.Glob(pattern)
		if err != nil {
			return "", err
		}
		sort.Strings(found)
		paths = append(paths, found...)
	}
	for _, path := range paths {
		content, err := os.ReadFile(path)
		if err != nil {
			return "", err
		}
		mirror := ""
		if strings.HasSuffix(path, ".sources") {
			mirror = parseDeb822(string(content))
		} else {
			mirror = parseOneLine(string(content))
		}
		if mirror != "" {
			return mirror, nil
		}
	}
	return "", fmt.Errorf("apt's sources name no archive of Debian %s; add one below /etc/apt/sources.list.d", Suite)
}

// parseOneLine reads the old format: deb [options] URI suite components…
func parseOneLine(text string) string {
	for _, line := range strings.Split(text, "\n") {
		if open, end := strings.Index(line, "["), strings.Index(line, "]"); open >= 0 && end > open {
			line = line[:open] + line[end+1:]
		}
		fields := strings.Fields(line)
		if len(fields) >= 4 && fields[0] == "deb" && isArchive(fields[1], fields[2:3], fields[3:]) {
			return fields[1]
		}
	}
	return ""
}

// parseDeb822 reads the stanzas of the new format.
func parseDeb822(text string) string {
	for _, stanza := range strings.Split(text, "\n\n") {
		values := map[string][]string{}
		key := ""
		for _, line := range strings.Split(stanza, "\n") {
			if strings.HasPrefix(line, "#") {
				continue
			}
			if strings.HasPrefix(line, " ") || strings.HasPrefix(line, "\t") {
				values[key] = append(values[key], strings.Fields(line)...)
				continue
			}
			name, rest, found := strings.Cut(line, ":")
			if found {
				key = strings.ToLower(strings.TrimSpace(name))
				values[key] = append(values[key], strings.Fields(rest)...)
			}
		}
		if strings.Join(values["enabled"], "") == "no" {
			continue
		}
		for _, uri := range values["uris"] {
			if contains(values["types"], "deb") && isArchive(uri, values["suites"], values["components"]) {
				return uri
			}
		}
	}
	return ""
}

// isArchive tells Debian's own archive from a vendor's: it has the release's
// plain name as a suite and the component main.
func isArchive(uri string, suites, components []string) bool {
	return strings.HasPrefix(uri, "http") && contains(suites, Suite) && contains(components, "main")
}

func contains(values []string, wanted string) bool {
	for _, value := range values {
		if value == wanted {
			return true
		}
	}
	return false
}
