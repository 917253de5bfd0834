// SPDX-License-Identifier: Apache-2.0
// Copyright The Image Lineage Authors

package hooks

import (
	"bufio"
	"bytes"
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"fmt"
	"math/big"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// serve runs a server on a free port until the test ends, and tells its address.
func serve(t *testing.T, server *Server, timeout time.Duration) string {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() { ended <- server.serve(ctx, listener, timeout) }()
	t.Cleanup(func() {
		stop()
		if err := <-ended; err != nil {
			t.Errorf("the server ended with %v", err)
		}
	})
	return listener.Addr().String()
}

func harborHook(t *testing.T) *receiver {
	t.Helper()
	return receive(t, Config{Name: "h", Source: Harbor, Proof: Proof{Bearer: &Bearer{SecretFile: secretIn(t, right)}}})
}

// notify posts a notification, and tells the protocol and the status of the answer.
func notify(t *testing.T, client *http.Client, url string, body []byte) string {
	t.Helper()
	request, err := http.NewRequestWithContext(t.Context(), http.MethodPost, url+"/hooks/h", bytes.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	request.Header.Set("Authorization", "Bearer "+right)
	response, err := client.Do(request)
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	return response.Proto + " " + response.Status
}

func TestServerHintsThePoller(t *testing.T) {
	r := harborHook(t)
	address := serve(t, &Server{Handler: r.Handler}, readTimeout)
	if answer := notify(t, http.DefaultClient, "http://"+address, golden(t, "harbor_push")); answer != "HTTP/1.1 202 Accepted" {
		t.Errorf("answered %s", answer)
	}
	if r.counts.of["Harbor woken"] != 1 {
		t.Errorf("counted %v", r.counts.of)
	}
}

// TestServerEndsSlowBodies: a body that stops coming costs the time limit and no
// more.
func TestServerEndsSlowBodies(t *testing.T) {
	r := harborHook(t)
	address := serve(t, &Server{Handler: r.Handler}, 100*time.Millisecond)
	conn, err := net.Dial("tcp", address)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	fmt.Fprintf(conn, "POST /hooks/h HTTP/1.1\r\nHost: x\r\nAuthorization: %s\r\nContent-Length: 100\r\n\r\n{", right)
	response, err := http.ReadResponse(bufio.NewReader(conn), nil)
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	if response.StatusCode != http.StatusRequestTimeout || r.counts.of["Harbor malformed"] != 1 {
		t.Errorf("answered %s, counted %v", response.Status, r.counts.of)
	}
}

// TestServerEndsSlowAndLargeHeaders before the handler sees them.
func TestServerEndsSlowAndLargeHeaders(t *testing.T) {
	r := harborHook(t)
	address := serve(t, &Server{Handler: r.Handler}, 100*time.Millisecond)
	for title, text := range map[string]string{
		"slow":  "POST /hooks/h HTTP/1.1\r\nHost: x\r\n",
		"large": "POST /hooks/h HTTP/1.1\r\nHost: x\r\nX-Large: " + strings.Repeat("x", 2*maxHeader) + "\r\n\r\n",
	} {
		conn, err := net.Dial("tcp", address)
		if err != nil {
			t.Fatal(err)
		}
		defer conn.Close()
		_, _ = conn.Write([]byte(text))
		answer, _ := bufio.NewReader(conn).ReadString('\n')
		if strings.Contains(answer, "202") || (title == "large" && !strings.Contains(answer, "431")) {
			t.Errorf("%s headers were answered %q", title, answer)
		}
	}
	if len(r.counts.of) > 0 {
		t.Errorf("counted %v", r.counts.of)
	}
}

// TestServerWaitsForHooks: without a hook nothing listens.
func TestServerWaitsForHooks(t *testing.T) {
	// The address is taken, so that listening fails.
	taken, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer taken.Close()
	handler := NewHandler(Options{Waker: &follower{}})
	server := &Server{Address: taken.Addr().String(), Handler: handler}
	if err := handler.Configure(nil); err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithCancel(t.Context())
	stop()
	if err := server.Start(ctx); err != nil {
		t.Errorf("without hooks: %v", err)
	}
	file := secretIn(t, right)
	if err := handler.Configure([]Config{{Name: "h", Source: Quay, Proof: Proof{Path: &Path{SecretFile: file}}}}); err != nil {
		t.Fatal(err)
	}
	if err := server.Start(t.Context()); err == nil || !strings.Contains(err.Error(), "listening for hooks") {
		t.Errorf("with a hook: %v", err)
	}
	if !server.NeedLeaderElection() {
		t.Error("a replica that does not lead would listen")
	}
}

// TestServerSpeaksTLS with the certificate that its files hold.
func TestServerSpeaksTLS(t *testing.T) {
	dir := t.TempDir()
	roots := certify(t, dir)
	r := harborHook(t)
	address := serve(t, &Server{Handler: r.Handler, CertDir: dir}, readTimeout)
	client := &http.Client{Transport: &http.Transport{
		TLSClientConfig: &tls.Config{RootCAs: roots}, DisableKeepAlives: true, ForceAttemptHTTP2: true,
	}}
	if answer := notify(t, client, "https://"+address, golden(t, "harbor_push")); answer != "HTTP/1.1 202 Accepted" {
		t.Errorf("answered %s", answer)
	}
}

func TestServerWithoutItsCertificate(t *testing.T) {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	server := &Server{Handler: NewHandler(Options{Waker: &follower{}}), CertDir: t.TempDir()}
	if err := server.serve(t.Context(), listener, readTimeout); err == nil || !strings.Contains(err.Error(), "the certificate for hooks") {
		t.Errorf("got %v", err)
	}
}

// certify writes a certificate for 127.0.0.1 that signs itself.
func certify(t *testing.T, dir string) *x509.CertPool {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), NotAfter: time.Now().Add(time.Hour),
		IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)}, IsCA: true, BasicConstraintsValid: true,
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		t.Fatal(err)
	}
	private, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	certificate := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der})
	for name, content := range map[string][]byte{
		"tls.crt": certificate,
		"tls.key": pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: private}),
	} {
		if err := os.WriteFile(filepath.Join(dir, name), content, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	roots := x509.NewCertPool()
	roots.AppendCertsFromPEM(certificate)
	return roots
}
