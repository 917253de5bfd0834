// SPDX-License-Identifier: Apache-2.0
// Copyright The Image Lineage Authors

package main

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"sync"
	"time"
)

// freeAddress is a loopback address that nobody listens on yet.
func freeAddress(ctx context.Context) (string, error) {
	listener, err := (&net.ListenConfig{}).Listen(ctx, "tcp", "127.0.0.1:0")
	if err != nil {
		return "", err
	}
	return listener.Addr().String(), listener.Close()
}

// notifiers is how many notifications are sent at once.
const notifiers = 8

// notify tells the operator that every tag was pushed, as CNCF distribution does:
// by one notification for each push.
func (b *bench) notify(ctx context.Context) error {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	numbers := make(chan int)
	var group sync.WaitGroup
	for range notifiers {
		group.Go(func() {
			for n := range numbers {
				if err := b.notifyOf(ctx, n); err != nil {
					cancel(err)
				}
			}
		})
	}
	for n := range references {
		numbers <- n
	}
	close(numbers)
	group.Wait()
	return context.Cause(ctx)
}

func (b *bench) notifyOf(ctx context.Context, n int) error {
	host := b.fleet.host(n)
	digest := host.Digest(repository(n))
	body, err := json.Marshal(map[string]any{"events": []map[string]any{{
		"id": fmt.Sprintf("%s-%d", digest[7:19], n), "timestamp": time.Now().UTC(), "action": "push",
		"target": map[string]any{
			"mediaType": "application/vnd.oci.image.manifest.v1+json", "digest": digest,
			"repository": repository(n), "tag": "stable",
			"url": "http://" + host.Name + "/v2/" + repository(n) + "/manifests/" + digest,
		},
		"request": map[string]any{"host": host.Name, "method": http.MethodPut},
	}}})
	if err != nil {
		return err
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, "http://"+b.operator.hooks+"/hooks/"+hookName, bytes.NewReader(body))
	if err != nil {
		return err
	}
	req.Header.Set("Content-Type", "application/vnd.docker.distribution.events.v2+json")
	req.Header.Set("Authorization", "Bearer "+b.operator.secret)
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return err
	}
	defer func() { _ = resp.Body.Close() }()
	if _, err := io.Copy(io.Discard, resp.Body); err != nil {
		return err
	}
	if resp.StatusCode >= http.StatusMultipleChoices {
		return fmt.Errorf("a notification was answered by %s", resp.Status)
	}
	return nil
}
