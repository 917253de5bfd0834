// SPDX-License-Identifier: Apache-2.0
// Copyright The Image Lineage Authors

// Package registry is the port to container registries: it reads what tags
// show, describes images, asks whether a repository may be pushed to, puts a
// manifest under a tag, and polls.
//
//   - Client asks one question at a time. It never retries: whoever asks decides
//     when to ask again, and a registry that limits its clients is not asked
//     more because it does.
//   - Rules are what an administrator says of registries: which are asked, and how.
//     No lineage can change them.
//   - Credentials turns named Secrets and ServiceAccounts into a Keychain.
//   - Poller asks for all lineages together: once for each tag and credential,
//     however many lineages follow it, and tells them what changed.
//   - Copier has Client copy digests to another registry, in the background.
//   - Limits keep each host's rate: what people wait for goes at once, polling pays
//     for it, and copies have half.
//   - Metrics count all of it.
//
// Every error is an *Error with a Class. Its text is made of our own words and
// of names that users wrote; nothing that a registry answers gets into it, since
// it ends up in conditions that more people read than may read the registry.
//
// It is the only package that speaks the registry protocol, by way of
// go-containerregistry.
package registry
