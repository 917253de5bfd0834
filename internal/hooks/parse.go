// SPDX-License-Identifier: Apache-2.0
// Copyright The Image Lineage Authors

package hooks

import (
	"encoding/json"
	"errors"
	"strings"

	"github.com/imagelineage/imagelineage/internal/reference"
)

// maxReferences is how many references of one payload count. Registries name one
// or a few; the rest is found by polling.
const maxReferences = 100

// dockerHub is the host in canonical references.
const dockerHub = "docker.io"

// The errors of parsers: our own words, since they are answered.
var (
	errNoJSON   = errors.New("the body is not the JSON that this source sends")
	errNoBase64 = errors.New("the body's message.data is not base64")
	errPairs    = errors.New("the body has another number of tags than of repositories")
)

// parser reads the references whose tags moved out of one source's payload. A
// payload that tells of something else, such as a pull or a scan, has none and is
// no error; so is a name that is no reference.
type parser func(body []byte, into *references) error

// parsers are the readers of the sources' payloads; that of GenericSource is made
// for each hook.
var parsers = map[Source]parser{
	Distribution:     parseDistribution,
	Harbor:           parseHarbor,
	DockerHub:        parseDockerHub,
	Quay:             parseQuay,
	GHCR:             parseGHCR,
	ACR:              parseACR,
	ECR:              parseECR,
	ArtifactRegistry: parseArtifactRegistry,
	Nexus:            parseNexus,
	JFrog:            parseJFrog,
}

// parse reads a payload.
func parse(read parser, host string, body []byte) ([]reference.Reference, error) {
	found := references{host: host}
	if err := read(body, &found); err != nil {
		return nil, err
	}
	return found.list, nil
}

// references collects what a payload names, each once, up to maxReferences.
type references struct {
	// host is the configuration's, and wins over the payload's.
	host string
	list []reference.Reference
	seen map[reference.Reference]bool
}

func (r *references) full() bool { return len(r.list) >= maxReferences }

// add takes a repository of a host, and a tag. What has no tag, such as an image
// that is pushed by digest, moves none.
func (r *references) add(host, repository, tag string) {
	if r.host != "" {
		host = r.host
	}
	if host == "" || repository == "" || tag == "" {
		return
	}
	r.keep(host + "/" + strings.Trim(repository, "/") + ":" + tag)
}

// addImage takes a whole reference.
func (r *references) addImage(image string) {
	image, _, _ = strings.Cut(image, "@")
	colon := strings.LastIndexByte(image, ':')
	if colon <= strings.LastIndexByte(image, '/') {
		return // Without a tag nothing moves; and latest is meant where it is said.
	}
	r.addTo(image[:colon], image[colon+1:])
}

// addTo takes a repository with its host before it, and a tag.
func (r *references) addTo(repository, tag string) {
	if r.host == "" {
		r.keep(repository + ":" + tag)
		return
	}
	ref, err := reference.Parse(repository + ":" + tag)
	if err != nil {
		return
	}
	r.add(r.host, strings.TrimPrefix(ref.Repository, ref.Host()), tag)
}

func (r *references) keep(image string) {
	if r.full() {
		return
	}
	ref, err := reference.ParseTag(image)
	if err != nil || r.seen[ref] {
		return
	}
	if r.seen == nil {
		r.seen = map[reference.Reference]bool{}
	}
	r.seen[ref] = true
	r.list = append(r.list, ref)
}

// decode reads JSON; what its errors quote is not passed on.
func decode(body []byte, into any) error {
	if json.Unmarshal(body, into) != nil {
		return errNoJSON
	}
	return nil
}
