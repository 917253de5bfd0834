// Package tekton installs Tekton as a user's cluster runs it: as pods, from the
// manifests in Tekton's own module.
package tekton

import (
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"sort"
	"strings"
)

// Namespace is where Tekton's manifests put it.
const Namespace = "tekton-pipelines"

// left names the manifests that stay out. The events controller sends cloud
// events to a sink nobody has here, and the autoscaler needs a metrics server.
var left = map[string]bool{"events.yaml": true, "webhook-hpa.yaml": true, "config-leader-election-events.yaml": true}

var (
	// koReference is a reference that Tekton's release process builds with ko.
	koReference = regexp.MustCompile(`ko://github\.com/tektoncd/pipeline/cmd/([a-z]+)`)
	// shellImage is the argument with the image that has a shell for scripts.
	shellImage = regexp.MustCompile(`("-shell-image", )"[^"]*"`)
	// develVersion is what an unreleased manifest calls its version.
	develVersion = regexp.MustCompile(`((?:app\.kubernetes\.io/version|pipeline\.tekton\.dev/release|version): )"devel"`)
)

// Rewrite puts the pushed images into a manifest and the version in the place
// of "devel". A reference without an image is an error, not a pod that hangs.
func Rewrite(manifest, version, shell string, images map[string]string) (string, error) {
	var missing []string
	out := koReference.ReplaceAllStringFunc(manifest, func(reference string) string {
		program := koReference.FindStringSubmatch(reference)[1]
		image, found := images[program]
		if !found {
			missing = append(missing, program)
		}
		return image
	})
	if len(missing) > 0 {
		return "", fmt.Errorf("no image of Tekton's %s", strings.Join(missing, ", "))
	}
	out = shellImage.ReplaceAllString(out, `${1}"`+shell+`"`)
	return develVersion.ReplaceAllString(out, `${1}"`+version+`"`), nil
}

// Manifests reads, rewrites and joins the manifests of Tekton's config
// directory, in the order of their names, which is the order of installation.
func Manifests(dir, version, shell string, images map[string]string) (string, error) {
	var paths []string
	for _, pattern := range []string{"100-namespace/*.yaml", "300-crds/*.yaml", "*.yaml"} {
		found, err := filepath.Glob(filepath.Join(dir, pattern))
		if err != nil {
			return "", err
		}
		sort.Strings(found)
		paths = append(paths, found...)
	}
	if len(paths) == 0 {
		return "", fmt.Errorf("no manifests in %s", dir)
	}
	var documents []string
	for _, path := range paths {
		if left[filepath.Base(path)] {
			continue
		}
		content, err := os.ReadFile(path)
		if err != nil {
			return "", err
		}
		document, err := Rewrite(string(content), version, shell, images)
		if err != nil {
			return "", fmt.Errorf("%s: %w", filepath.Base(path), err)
		}
		documents = append(documents, document)
	}
	return strings.Join(documents, "\n---\n"), nil
}
