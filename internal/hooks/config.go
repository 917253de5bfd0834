// SPDX-License-Identifier: Apache-2.0
// Copyright The Image Lineage Authors

package hooks

// Source is who sends to a hook; it decides how the body is read.
type Source string

// The sources.
const (
	// Distribution is the CNCF distribution registry, and what is made of it, such
	// as GitLab's registry.
	Distribution Source = "Distribution"
	// Harbor sends in its own format or as CloudEvents.
	Harbor Source = "Harbor"
	// DockerHub can prove nothing but that it knows the hook's path.
	DockerHub Source = "DockerHub"
	// Quay is quay.io and Red Hat Quay.
	Quay Source = "Quay"
	// GHCR is GitHub's registry, by the events package and registry_package.
	GHCR Source = "GHCR"
	// ACR is the Azure Container Registry.
	ACR Source = "ACR"
	// ECR is the Amazon registry, by an EventBridge API destination.
	ECR Source = "ECR"
	// ArtifactRegistry is Google's registry, by a Pub/Sub push subscription.
	ArtifactRegistry Source = "ArtifactRegistry"
	// Nexus is Sonatype Nexus Repository.
	Nexus Source = "Nexus"
	// JFrog is Artifactory.
	JFrog Source = "JFrog"
	// GenericSource is whoever sends JSON; the paths of Generic find the image in it.
	GenericSource Source = "Generic"
)

// Config is one hook: an entry of the list hooks in the operator's
// configuration.
type Config struct {
	// Name is the last element of the hook's path, /hooks/NAME; a DNS label.
	Name string `json:"name"`
	// Source is who sends.
	Source Source `json:"source"`
	// Host is the registry as lineages name it: a host, with its port where it has
	// one, and with a path where the registry has one before its repositories. It
	// takes the place of what the payload calls the registry, which may be a name
	// that only the registry's own network knows. Nexus tells none at all, so
	// there it is required. By default the payload's.
	Host string `json:"host,omitempty"`
	// Proof of the sender's identity.
	Proof Proof `json:"proof"`
	// Generic says where a payload names the image; for the source Generic only.
	Generic *Generic `json:"generic,omitempty"`
}

// Proof is how a sender proves who it is: exactly one member is set. The secrets
// are files, such as those of a mounted Secret; they are read for each request,
// so one that is rotated counts at once. White space at their ends is no part of
// them, and less than 16 characters are refused.
type Proof struct {
	// HMAC wants the body signed.
	HMAC *HMAC `json:"hmac,omitempty"`
	// Bearer wants a fixed header.
	Bearer *Bearer `json:"bearer,omitempty"`
	// Basic wants a user name and a password.
	Basic *Basic `json:"basic,omitempty"`
	// Path wants the secret in the path: /hooks/NAME/SECRET.
	Path *Path `json:"path,omitempty"`
}

// Locate finds the files of the secrets: a relative path is of use only to who knows
// what it is relative to.
func (p *Proof) Locate(find func(path string) string) {
	switch {
	case p.HMAC != nil:
		p.HMAC.SecretFile = find(p.HMAC.SecretFile)
	case p.Bearer != nil:
		p.Bearer.SecretFile = find(p.Bearer.SecretFile)
	case p.Basic != nil:
		p.Basic.PasswordFile = find(p.Basic.PasswordFile)
	case p.Path != nil:
		p.Path.SecretFile = find(p.Path.SecretFile)
	}
}

// HMAC is a signature of the body with a shared secret: HMAC-SHA256 in hex, with
// or without sha256= before it. Nexus signs with HMAC-SHA1.
type HMAC struct {
	// SecretFile holds the secret.
	SecretFile string `json:"secretFile"`
	// Header that holds the signature; the one that GHCR, JFrog or Nexus uses by
	// default, else required.
	Header string `json:"header,omitempty"`
}

// Bearer is a header whose value is the secret, with or without the word Bearer
// before it.
type Bearer struct {
	// SecretFile holds the secret.
	SecretFile string `json:"secretFile"`
	// Header is X-JFrog-Event-Auth for JFrog and Authorization for all others by
	// default.
	Header string `json:"header,omitempty"`
}

// Basic is HTTP's basic authentication.
type Basic struct {
	// Username to be told.
	Username string `json:"username"`
	// PasswordFile holds the password.
	PasswordFile string `json:"passwordFile"`
}

// Path is a secret in the path, for registries that can send no header.
type Path struct {
	// SecretFile holds the secret.
	SecretFile string `json:"secretFile"`
}

// Generic says where a payload names the image: by Image, or by Repository and
// Tag. Each is a simple JSON path such as .data.image, .events[*].target.tag or
// .items[0].name; a dot within a key is written \. there.
type Generic struct {
	// Image is the path to whole references, such as registry.example.com/team/app:1.
	Image string `json:"image,omitempty"`
	// Repository is the path to repositories, with their registry before them
	// unless host says it.
	Repository string `json:"repository,omitempty"`
	// Tag is the path to tags: all of one repository, or one for each.
	Tag string `json:"tag,omitempty"`
}
