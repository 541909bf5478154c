package main

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"io"
	"net/http"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/kubernetes/scheme"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/remotecommand"
)

const execTimeout = 2 * time.Minute

// target is where commands run: a pod, reached by one of the two protocols of the exec subresource.
type target struct {
	cfg                      *rest.Config
	client                   *kubernetes.Clientset
	protocol, namespace, pod string
}

// exec opens a new connection for every command, as client-go always does.
func (t target) exec(ctx context.Context, command []string, stdout io.Writer) error {
	url := t.client.CoreV1().RESTClient().Post().Resource("pods").Namespace(t.namespace).Name(t.pod).SubResource("exec").
		VersionedParams(&corev1.PodExecOptions{Command: command, Stdout: true, Stderr: true}, scheme.ParameterCodec).URL()
	var executor remotecommand.Executor
	var err error
	switch t.protocol {
	case "ws":
		executor, err = remotecommand.NewWebSocketExecutor(t.cfg, http.MethodGet, url.String())
	case "spdy":
		executor, err = remotecommand.NewSPDYExecutor(t.cfg, http.MethodPost, url)
	default:
		err = fmt.Errorf("the protocol must be ws or spdy, not %q", t.protocol)
	}
	if err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(ctx, execTimeout)
	defer cancel()
	return executor.StreamWithContext(ctx, remotecommand.StreamOptions{Stdout: stdout, Stderr: io.Discard})
}

func exec(ctx context.Context, t target, n int, command []string) error {
	s := samples{name: "exec-" + t.protocol}
	for range n {
		start := time.Now()
		if err := t.exec(ctx, command, io.Discard); err != nil {
			return fmt.Errorf("exec in %s/%s: %w", t.namespace, t.pod, err)
		}
		s.since(start)
	}
	s.report()
	return nil
}

// check counts runs with wrong output apart from runs with an error: wrong output without an error is the silent loss
// that callers cannot see.
func check(ctx context.Context, t target, n int, want string, command []string) error {
	s := samples{name: "check-" + t.protocol}
	wrong, silent, failed := 0, 0, 0
	for i := range n {
		var stdout bytes.Buffer
		start := time.Now()
		err := t.exec(ctx, command, &stdout)
		s.since(start)
		if ctx.Err() != nil {
			return ctx.Err()
		}
		if err != nil {
			failed++
			fmt.Printf("run %d: %v\n", i+1, err)
		}
		if sum := sha256.Sum256(stdout.Bytes()); hex.EncodeToString(sum[:]) != want {
			wrong++
			if err == nil {
				silent++
			}
			fmt.Printf("run %d: wrong output, %d bytes\n", i+1, stdout.Len())
		}
	}
	s.report()
	fmt.Printf("check-%s runs=%d wrong=%d silent=%d failed=%d\n", t.protocol, n, wrong, silent, failed)
	if wrong+failed > 0 {
		return fmt.Errorf("%d of %d runs had wrong output, %d failed", wrong, n, failed)
	}
	return nil
}
