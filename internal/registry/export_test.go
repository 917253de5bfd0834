// SPDX-License-Identifier: Apache-2.0
// Copyright The Image Lineage Authors

package registry

// SetRules has a client go by other rules.
func (c *Client) SetRules(rules Rules) { c.rules = func() Rules { return rules } }
