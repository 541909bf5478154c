// podbay-k8s: one binary holding every Kubernetes component the test cluster runs.
// The component is chosen by the name it is called by (argv[0]) or by its first argument.
package main

import (
	"context"
	"fmt"
	"os"
	"path/filepath"

	"github.com/spf13/cobra"
	"go.etcd.io/etcd/server/v3/etcdmain"

	_ "k8s.io/client-go/plugin/pkg/client/auth"
	"k8s.io/component-base/cli"
	_ "k8s.io/component-base/logs/json/register"
	_ "k8s.io/component-base/metrics/prometheus/clientgo"
	_ "k8s.io/component-base/metrics/prometheus/version"
	kubectlcmd "k8s.io/kubectl/pkg/cmd"
	kubectlutil "k8s.io/kubectl/pkg/cmd/util"
	apiserver "k8s.io/kubernetes/cmd/kube-apiserver/app"
	kcm "k8s.io/kubernetes/cmd/kube-controller-manager/app"
	proxy "k8s.io/kubernetes/cmd/kube-proxy/app"
	scheduler "k8s.io/kubernetes/cmd/kube-scheduler/app"
	kubelet "k8s.io/kubernetes/cmd/kubelet/app"
)

func main() {
	name := filepath.Base(os.Args[0])
	for {
		var cmd *cobra.Command
		switch name {
		case "kube-apiserver":
			cmd = apiserver.NewAPIServerCommand()
		case "kube-controller-manager":
			cmd = kcm.NewControllerManagerCommand()
		case "kube-scheduler":
			cmd = scheduler.NewSchedulerCommand()
		case "kube-proxy":
			cmd = proxy.NewProxyCommand()
		case "kubelet":
			cmd = kubelet.NewKubeletCommand(context.Background())
		case "kubectl":
			if err := cli.RunNoErrOutput(kubectlcmd.NewDefaultKubectlCommand()); err != nil {
				kubectlutil.CheckErr(err)
			}
			return
		case "etcd":
			etcdmain.Main(os.Args)
			return
		default:
			if len(os.Args) < 2 {
				fmt.Fprintln(os.Stderr, "usage: podbay-k8s etcd|kube-apiserver|kube-controller-manager|kube-scheduler|kube-proxy|kubelet|kubectl ...")
				os.Exit(2)
			}
			name = os.Args[1]
			os.Args = os.Args[1:]
			switch name {
			case "etcd", "kube-apiserver", "kube-controller-manager", "kube-scheduler", "kube-proxy", "kubelet", "kubectl":
				continue
			}
			fmt.Fprintf(os.Stderr, "podbay-k8s: unknown component %q\n", name)
			os.Exit(2)
		}
		os.Exit(cli.Run(cmd))
	}
}
