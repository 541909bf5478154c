// podbay-bench measures the test cluster through client-go, as the other side of Podbay's own benchmarks, and is the
// cluster's volume provisioner. The cluster is the one of $KUBECONFIG.
//
//	podbay-bench ready N IMAGE [COMMAND...]              pod create to Ready, one pod at a time
//	podbay-bench exec  N ws|spdy NS POD COMMAND...       one exec after another from this process, output discarded
//	podbay-bench check N ws|spdy NS POD SHA256 COMMAND... the same, comparing each run's stdout
//	podbay-bench provision DIR                           runs until killed: the default StorageClass's provisioner
//
// `ready`, `exec` and `check` print one line for each sample, in milliseconds, then one line of quantiles. The exit
// code is 1 when a sample could not be taken or was wrong.
package main

import (
	"context"
	"fmt"
	"os"
	"os/signal"
	"strconv"
	"syscall"

	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/clientcmd"
)

const usage = `usage: podbay-bench ready N IMAGE [COMMAND...]
       podbay-bench exec  N ws|spdy NAMESPACE POD COMMAND...
       podbay-bench check N ws|spdy NAMESPACE POD SHA256 COMMAND...
       podbay-bench provision DIR`

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	if err := run(ctx, os.Args[1:]); err != nil {
		fmt.Fprintln(os.Stderr, "podbay-bench:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context, args []string) error {
	cfg, err := clientcmd.BuildConfigFromFlags("", os.Getenv("KUBECONFIG"))
	if err != nil {
		return err
	}
	// The client's own rate limit (5 requests a second) would be what is measured.
	cfg.QPS, cfg.Burst, cfg.WarningHandler = 1000, 1000, rest.NoWarnings{}
	client, err := kubernetes.NewForConfig(cfg)
	if err != nil {
		return err
	}
	if len(args) == 2 && args[0] == "provision" {
		return provision(ctx, client, args[1])
	}
	if len(args) < 3 {
		return fmt.Errorf("%s", usage)
	}
	n, err := strconv.Atoi(args[1])
	if err != nil || n < 1 {
		return fmt.Errorf("N must be a positive number, not %q", args[1])
	}
	params := args[2:]
	switch {
	case args[0] == "ready":
		return ready(ctx, client, n, params[0], params[1:])
	case args[0] == "exec" && len(params) > 3:
		t := target{cfg: cfg, client: client, protocol: params[0], namespace: params[1], pod: params[2]}
		return exec(ctx, t, n, params[3:])
	case args[0] == "check" && len(params) > 4:
		t := target{cfg: cfg, client: client, protocol: params[0], namespace: params[1], pod: params[2]}
		return check(ctx, t, n, params[3], params[4:])
	}
	return fmt.Errorf("%s", usage)
}
