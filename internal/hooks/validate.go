// SPDX-License-Identifier: Apache-2.0
// Copyright The Image Lineage Authors

package hooks

import (
	"slices"
	"strings"

	"golang.org/x/net/http/httpguts"
	"k8s.io/apimachinery/pkg/util/validation"
	"k8s.io/apimachinery/pkg/util/validation/field"

	"github.com/imagelineage/imagelineage/internal/reference"
)

// maxHooks is how many hooks there may be: the limits of each add up.
const maxHooks = 64

// sources are all of them, as error messages list them.
var sources = []Source{
	Distribution, Harbor, DockerHub, Quay, GHCR, ACR, ECR, ArtifactRegistry, Nexus, JFrog, GenericSource,
}

// Validate tells what is wrong with a list of hooks, and how to mend it; path is
// the list's own. It reads no files.
func Validate(hooks []Config, path *field.Path) field.ErrorList {
	var errs field.ErrorList
	if len(hooks) > maxHooks {
		errs = append(errs, field.TooMany(path, len(hooks), maxHooks))
	}
	seen := map[string]bool{}
	for i, c := range hooks {
		if seen[c.Name] {
			errs = append(errs, field.Duplicate(path.Index(i).Child("name"), c.Name))
		}
		seen[c.Name] = true
		errs = append(errs, c.Validate(path.Index(i))...)
	}
	return errs
}

// Validate tells what is wrong with one hook, and how to mend it; path is the
// hook's own. It reads no files.
func (c Config) Validate(path *field.Path) field.ErrorList {
	var errs field.ErrorList
	for _, message := range validation.IsDNS1123Label(c.Name) {
		errs = append(errs, field.Invalid(path.Child("name"), c.Name, message))
	}
	if !slices.Contains(sources, c.Source) {
		errs = append(errs, field.NotSupported(path.Child("source"), c.Source, sources))
	}
	errs = append(errs, c.validateHost(path.Child("host"))...)
	errs = append(errs, c.validateProof(path.Child("proof"))...)
	return append(errs, c.validateGeneric(path.Child("generic"))...)
}

func (c Config) validateHost(path *field.Path) field.ErrorList {
	switch {
	case c.Host == "" && c.Source == Nexus:
		return field.ErrorList{field.Required(path, "Nexus does not tell its name: write the registry as lineages name it, such as nexus.example.com:8443")}
	case c.Host == "":
		return nil
	}
	// A repository on the host, read as lineages' references are read; a first word
	// without a dot or a port would be Docker Hub's.
	_, err := reference.Parse(c.Host + "/repository:tag")
	if host, _, _ := strings.Cut(c.Host, "/"); err != nil || (!strings.ContainsAny(host, ".:") && host != "localhost") {
		return field.ErrorList{field.Invalid(path, c.Host, "write a host, with its port where it has one and without a scheme, such as registry.example.com:5000 or nexus.example.com/docker")}
	}
	return nil
}

func (c Config) validateProof(path *field.Path) field.ErrorList {
	var errs field.ErrorList
	given := 0
	file := func(path *field.Path, name string) {
		if name == "" {
			errs = append(errs, field.Required(path, "name a file of a mounted Secret"))
		}
	}
	header := func(path *field.Path, name string) {
		if name != "" && !httpguts.ValidHeaderFieldName(name) {
			errs = append(errs, field.Invalid(path, name, "write the name of a header, such as X-Signature"))
		}
	}
	if p := c.Proof.HMAC; p != nil {
		given++
		file(path.Child("hmac", "secretFile"), p.SecretFile)
		header(path.Child("hmac", "header"), p.Header)
		if c.hmacHeader() == "" {
			errs = append(errs, field.Required(path.Child("hmac", "header"), "name the header that holds the signature, such as X-Signature"))
		}
	}
	if p := c.Proof.Bearer; p != nil {
		given++
		file(path.Child("bearer", "secretFile"), p.SecretFile)
		header(path.Child("bearer", "header"), p.Header)
	}
	if p := c.Proof.Basic; p != nil {
		given++
		file(path.Child("basic", "passwordFile"), p.PasswordFile)
		if p.Username == "" {
			errs = append(errs, field.Required(path.Child("basic", "username"), "write the name that the sender tells"))
		}
	}
	if p := c.Proof.Path; p != nil {
		given++
		file(path.Child("path", "secretFile"), p.SecretFile)
	}
	if given != 1 {
		errs = append(errs, field.Required(path, "set exactly one of hmac, bearer, basic and path"))
	}
	return errs
}

func (c Config) validateGeneric(path *field.Path) field.ErrorList {
	g := c.Generic
	switch {
	case c.Source != GenericSource && g == nil:
		return nil
	case c.Source != GenericSource:
		return field.ErrorList{field.Forbidden(path, "is for the source Generic only; remove it")}
	case g == nil:
		return field.ErrorList{field.Required(path, "say where the payload names the image, such as image: .data.image")}
	case (g.Image == "") == (g.Repository == "" && g.Tag == ""), (g.Repository == "") != (g.Tag == ""):
		return field.ErrorList{field.Required(path, "set image, or repository and tag")}
	}
	var errs field.ErrorList
	for _, member := range []struct{ name, text string }{{"image", g.Image}, {"repository", g.Repository}, {"tag", g.Tag}} {
		if member.text == "" {
			continue
		}
		if _, err := parsePath(member.text); err != nil {
			errs = append(errs, field.Invalid(path.Child(member.name), member.text, err.Error()))
		}
	}
	return errs
}
