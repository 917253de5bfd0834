// SPDX-License-Identifier: Apache-2.0
// Copyright The Image Lineage Authors

// Package configuration is the operator's configuration file: what an administrator
// says that no lineage can change. It is decoded strictly, so that a misspelt field
// is an error and not a wish that nobody hears.
package configuration

import (
	"bytes"
	"crypto/sha256"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"strings"

	"k8s.io/apimachinery/pkg/util/validation/field"
	kjson "sigs.k8s.io/json"
	"sigs.k8s.io/yaml"

	"github.com/imagelineage/imagelineage/internal/hooks"
	"github.com/imagelineage/imagelineage/internal/registry"
)

// The version and kind that a file has to name.
const (
	APIVersion = "config.imagelineage.dev/v1alpha1"
	Kind       = "OperatorConfiguration"
)

// ErrNone is Load's error where nobody has written a configuration: its directory is
// there and has no files. The installation mounts one like that until there is a
// ConfigMap. A directory with other files, or none at all, is a mistake.
var ErrNone = errors.New("there is no configuration file")

// maxSize is the largest file that is read, in bytes: what a ConfigMap can hold.
const maxSize = 1 << 20

// Configuration is the content of the file.
type Configuration struct {
	// APIVersion is config.imagelineage.dev/v1alpha1.
	APIVersion string `json:"apiVersion"`
	// Kind is OperatorConfiguration.
	Kind string `json:"kind"`
	// Registries says which registries are asked, and how.
	Registries Registries `json:"registries"`
	// Hooks are where registries may tell of pushes; none by default. Paths of
	// secrets are relative to the configuration's.
	Hooks []hooks.Config `json:"hooks"`
}

// Registries says which registries are asked, and how.
type Registries struct {
	// Allowed are the only registries that are asked; none allows all. See
	// registry.Rules.
	Allowed []string `json:"allowed"`
	// Hosts are rules for single hosts; the first that matches counts.
	Hosts []Host `json:"hosts"`
}

// Host says how one registry is spoken to. The fields are those of
// registry.HostRule.
type Host struct {
	// Host is HOST, HOST:PORT or *.DOMAIN.
	Host string `json:"host"`
	// PlainHTTP has the host spoken to without TLS.
	PlainHTTP bool `json:"plainHTTP"`
	// CABundle holds certificate authorities in PEM. One of CABundle and CAFile may
	// be given.
	CABundle string `json:"caBundle"`
	// CAFile names a file of such authorities, by a path that is relative to the
	// configuration's.
	CAFile string `json:"caFile"`
	// Mirrors are asked before the host.
	Mirrors []string `json:"mirrors"`
	// Private is whether the host belongs to the organisation.
	Private *bool `json:"private"`
	// RequestsPerSecond limits how often the host is asked; 0 is the default.
	RequestsPerSecond float64 `json:"requestsPerSecond"`
	// AnonymousRequestsPerSecond is that limit without credentials.
	AnonymousRequestsPerSecond float64 `json:"anonymousRequestsPerSecond"`
}

// Parse reads a configuration. Its errors name the fields, and what would be right.
// Files that it names are not read; see Load.
func Parse(raw []byte) (Configuration, error) {
	var read Configuration
	document, err := yaml.YAMLToJSONStrict(raw)
	if err != nil {
		return read, fmt.Errorf("it is no YAML: %w", err)
	}
	// An empty document is null, which would pass as an object without fields.
	if bytes.Equal(document, []byte("null")) {
		document = []byte("{}")
	}
	strict, err := kjson.UnmarshalStrict(document, &read)
	if err != nil {
		return read, errors.New(legible(err))
	}
	wrong := make([]error, 0, len(strict))
	for _, err := range strict {
		wrong = append(wrong, fmt.Errorf("%s: docs/configuration.md lists the fields", err.Error()))
	}
	if read.APIVersion != APIVersion {
		wrong = append(wrong, fmt.Errorf("apiVersion: %q is not known: write %s", read.APIVersion, APIVersion))
	}
	if read.Kind != Kind {
		wrong = append(wrong, fmt.Errorf("kind: %q is not known: write %s", read.Kind, Kind))
	}
	for i, host := range read.Registries.Hosts {
		if host.CABundle != "" && host.CAFile != "" {
			wrong = append(wrong, fmt.Errorf("registries.hosts[%d].caFile: caBundle is given too: leave out one of them", i))
		}
	}
	if err := hooks.Validate(read.Hooks, field.NewPath("hooks")).ToAggregate(); err != nil {
		wrong = append(wrong, err)
	}
	return read, errors.Join(wrong...)
}

// mismatch is what encoding/json says of a value of a wrong type.
var mismatch = regexp.MustCompile(`^json: cannot unmarshal (\S+)( \S+)? into Go struct field \w+\.(\S+) of type (\S+)$`)

// legible has a user's words for a value of a wrong type.
func legible(err error) string {
	found := mismatch.FindStringSubmatch(err.Error())
	if found == nil {
		return err.Error()
	}
	kind := found[4]
	switch kind {
	case "bool":
		kind = "true or false"
	case "float64":
		kind = "a number"
	case "string":
		kind = "text"
	default:
		kind = "another structure"
	}
	return fmt.Sprintf("%s: it is of type %s: write %s", found[3], found[1], kind)
}

// Rules are what the file says of registries. The authorities of files are read with
// read, by the path as it is written.
func (c Configuration) Rules(read func(path string) ([]byte, error)) (registry.Rules, error) {
	rules := registry.Rules{Allowed: c.Registries.Allowed}
	var wrong []error
	for i, host := range c.Registries.Hosts {
		var bundle []byte
		if host.CABundle != "" {
			bundle = []byte(host.CABundle)
		}
		if host.CAFile != "" {
			var err error
			if bundle, err = read(host.CAFile); err != nil {
				wrong = append(wrong, fmt.Errorf("registries.hosts[%d].caFile: %w", i, err))
			} else if len(bundle) == 0 {
				wrong = append(wrong, fmt.Errorf("registries.hosts[%d].caFile: %q is empty", i, host.CAFile))
			}
		}
		rules.Hosts = append(rules.Hosts, registry.HostRule{
			Host: host.Host, PlainHTTP: host.PlainHTTP, CABundle: bundle, Mirrors: host.Mirrors, Private: host.Private,
			RequestsPerSecond: host.RequestsPerSecond, AnonymousRequestsPerSecond: host.AnonymousRequestsPerSecond,
		})
	}
	wrong = append(wrong, rules.Validate())
	return rules, errors.Join(wrong...)
}

// Loaded is a configuration as it was read from files.
type Loaded struct {
	// Configuration is the content of the file.
	Configuration Configuration
	// Rules are what it says of registries, with the authorities of other files.
	Rules registry.Rules
	// Sum tells contents apart, of all the files that were read; also of a
	// configuration that cannot be used.
	Sum [sha256.Size]byte
}

// Load reads the file at a path, and those that it names. Where there is none the error
// is ErrNone.
func Load(path string) (Loaded, error) {
	var loaded Loaded
	sum := sha256.New()
	read := func(path string) ([]byte, error) {
		raw, err := readFile(path)
		// Lengths keep the end of one file from being the beginning of the next.
		_, _ = fmt.Fprintf(sum, "%q %d %v\n%s", path, len(raw), err, raw)
		return raw, err
	}
	beside := func(name string) string {
		if name == "" || filepath.IsAbs(name) {
			return name
		}
		return filepath.Join(filepath.Dir(path), name)
	}
	raw, err := read(path)
	if errors.Is(err, fs.ErrNotExist) {
		err = missing(path)
		_, _ = fmt.Fprint(sum, err)
	}
	if err == nil {
		loaded.Configuration, err = Parse(raw)
	}
	if err == nil {
		loaded.Rules, err = loaded.Configuration.Rules(func(name string) ([]byte, error) { return read(beside(name)) })
	}
	for i := range loaded.Configuration.Hooks {
		loaded.Configuration.Hooks[i].Proof.Locate(beside)
	}
	sum.Sum(loaded.Sum[:0])
	if err != nil {
		return loaded, fmt.Errorf("%s: %w", path, err)
	}
	return loaded, nil
}

// missing is why there is no file at a path.
func missing(path string) error {
	beside, err := os.ReadDir(filepath.Dir(path))
	if err != nil {
		return err
	}
	for _, entry := range beside {
		// The kubelet's own names in a mount have two dots; the directory of the hooks'
		// secrets is mounted below.
		if !entry.IsDir() && !strings.HasPrefix(entry.Name(), "..") {
			return fmt.Errorf("there is %s and no %s beside it: name it so", entry.Name(), filepath.Base(path))
		}
	}
	return ErrNone
}

func readFile(path string) ([]byte, error) {
	about, err := os.Stat(path)
	if err != nil {
		return nil, err
	}
	if !about.Mode().IsRegular() || about.Size() > maxSize {
		return nil, fmt.Errorf("%s is no file of 1 MiB at most", path)
	}
	return os.ReadFile(path) //nolint:gosec // the path is the administrator's
}
