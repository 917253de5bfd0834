// SPDX-License-Identifier: Apache-2.0
// Copyright The Image Lineage Authors

// Package hooks is the port to registries that tell when a tag moves: it
// receives their notifications over HTTP and wakes the poller.
//
// A notification is a hint and nothing more. What it says of digests is not even
// read; the poller asks the registry itself, with its own credentials. So
// whoever sends a wrong hint, or an old one again, gains one check of a tag that
// would have been checked anyway, and whoever loses one loses an interval.
//
//   - Config says which hooks there are: who sends, and how the sender proves
//     who it is.
//   - Handler answers the requests. Its configuration can be changed while it
//     works.
//   - Server is what listens.
//
// What a request costs is bounded before it has proven anything: connections,
// headers, time, bytes, and the number of bodies that are read at once. Nothing
// that a request says gets into an answer or a log.
package hooks
