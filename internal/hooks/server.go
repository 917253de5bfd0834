// SPDX-License-Identifier: Apache-2.0
// Copyright The Image Lineage Authors

package hooks

import (
	"context"
	"crypto/tls"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"path/filepath"
	"sync"
	"time"

	"github.com/go-logr/logr"
	"golang.org/x/net/netutil"
	"sigs.k8s.io/controller-runtime/pkg/certwatcher"
)

const (
	// connections is how many there may be at once; others wait to be accepted.
	connections = 256
	// headerTimeout, readTimeout and writeTimeout are for a request's headers, all
	// of it, and the answer.
	headerTimeout = 5 * time.Second
	readTimeout   = 10 * time.Second
	writeTimeout  = 20 * time.Second
	// idleTimeout is how long a connection may wait for its next request.
	idleTimeout = 30 * time.Second
	// maxHeader is the size of a request's headers, in bytes.
	maxHeader = 16 << 10
	// shutdownTimeout is for the requests that are under way when the operator ends.
	shutdownTimeout = 5 * time.Second
)

// Server listens for notifications while the operator leads. It implements
// manager.Runnable.
type Server struct {
	// Address to listen on, such as :9444.
	Address string
	// CertDir holds tls.crt and tls.key, and is watched for new ones. Without it
	// HTTP is spoken, for an ingress that ends TLS.
	CertDir string
	// Handler of the requests. The server listens when it has hooks, not before.
	Handler *Handler
	// Log of what connections do wrong, for those who debug.
	Log logr.Logger
}

// NeedLeaderElection implements manager.LeaderElectionRunnable: only the leader's
// poller can be woken. A replica that waits refuses the connection, so that
// whoever balances the load tries the next one.
func (s *Server) NeedLeaderElection() bool { return true }

// Start listens until the context ends.
func (s *Server) Start(ctx context.Context) error {
	select {
	case <-ctx.Done():
		return nil
	case <-s.Handler.some:
	}
	listener, err := (&net.ListenConfig{}).Listen(ctx, "tcp", s.Address)
	if err != nil {
		return fmt.Errorf("listening for hooks: %w", err)
	}
	return s.serve(ctx, listener, readTimeout)
}

func (s *Server) serve(ctx context.Context, listener net.Listener, timeout time.Duration) error {
	server := &http.Server{
		Handler:           s.Handler,
		ReadHeaderTimeout: min(headerTimeout, timeout),
		ReadTimeout:       timeout,
		WriteTimeout:      writeTimeout,
		IdleTimeout:       idleTimeout,
		MaxHeaderBytes:    maxHeader,
		ErrorLog:          slog.NewLogLogger(logr.ToSlogHandler(s.Log), slog.LevelDebug),
	}
	listener = netutil.LimitListener(listener, connections)
	if s.CertDir != "" {
		secured, err := s.secure(ctx, listener)
		if err != nil {
			_ = listener.Close()
			return err
		}
		listener = secured
	}
	var ended sync.WaitGroup
	defer ended.Wait()
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	ended.Go(func() {
		<-ctx.Done()
		ending, done := context.WithTimeout(context.WithoutCancel(ctx), shutdownTimeout)
		defer done()
		_ = server.Shutdown(ending)
	})
	if err := server.Serve(listener); ctx.Err() == nil {
		return fmt.Errorf("serving hooks: %w", err)
	}
	return nil
}

// secure speaks TLS on a listener, with the certificate that the files hold at
// the moment. HTTP/2 is left out: a connection has one request at a time, so that
// their number is bounded.
func (s *Server) secure(ctx context.Context, listener net.Listener) (net.Listener, error) {
	watcher, err := certwatcher.New(filepath.Join(s.CertDir, "tls.crt"), filepath.Join(s.CertDir, "tls.key"))
	if err != nil {
		return nil, fmt.Errorf("reading the certificate for hooks: %w", err)
	}
	go func() {
		if err := watcher.Start(ctx); err != nil {
			s.Log.Error(err, "The certificate for hooks is not watched any more")
		}
	}()
	return tls.NewListener(listener, &tls.Config{
		MinVersion:     tls.VersionTLS12,
		NextProtos:     []string{"http/1.1"},
		GetCertificate: watcher.GetCertificate,
	}), nil
}
