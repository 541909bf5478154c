package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"time"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/client-go/informers"
	"k8s.io/client-go/kubernetes"
	corelisters "k8s.io/client-go/listers/core/v1"
	"k8s.io/client-go/tools/cache"
)

const (
	provisioner = "podbay/directory"
	// Written on a claim by the controller manager, once the claim may be provisioned (for WaitForFirstConsumer: once
	// its pod has a node).
	provisionerAnnotation   = "volume.kubernetes.io/storage-provisioner"
	provisionedByAnnotation = "pv.kubernetes.io/provisioned-by"
	// How soon a failed attempt is repeated when nothing changes.
	retryEvery = 5 * time.Second
)

// volumes makes one directory of mode 0777 under root for each claim. (The controller manager's own host-path
// provisioner makes directories that only root can write, and the kubelet applies no fsGroup to hostPath volumes.)
// Sizes are not enforced.
type volumes struct {
	client  kubernetes.Interface
	root    string
	claims  corelisters.PersistentVolumeClaimLister
	volumes corelisters.PersistentVolumeLister
}

// provision watches rather than lists: the audit log that benchmarks count in stays quiet.
func provision(ctx context.Context, client kubernetes.Interface, root string) error {
	factory := informers.NewSharedInformerFactory(client, 0)
	core := factory.Core().V1()
	v := volumes{client: client, root: root, claims: core.PersistentVolumeClaims().Lister(), volumes: core.PersistentVolumes().Lister()}

	changed := make(chan struct{}, 1)
	poke := func() {
		select {
		case changed <- struct{}{}:
		default: // a round is due already
		}
	}
	handler := cache.ResourceEventHandlerFuncs{
		AddFunc: func(any) { poke() }, UpdateFunc: func(_, _ any) { poke() }, DeleteFunc: func(any) { poke() },
	}
	for _, informer := range []cache.SharedIndexInformer{core.PersistentVolumeClaims().Informer(), core.PersistentVolumes().Informer()} {
		if _, err := informer.AddEventHandler(handler); err != nil {
			return err
		}
	}
	factory.Start(ctx.Done())
	factory.WaitForCacheSync(ctx.Done())

	retry := time.NewTicker(retryEvery)
	defer retry.Stop()
	for {
		if err := v.reconcile(ctx); err != nil {
			fmt.Println(err)
		}
		select {
		case <-ctx.Done():
			return nil
		case <-changed:
		case <-retry.C:
		}
	}
}

func (v volumes) reconcile(ctx context.Context) error {
	claims, err := v.claims.List(labels.Everything())
	if err != nil {
		return err
	}
	var errs []error
	for _, c := range claims {
		if c.Annotations[provisionerAnnotation] == provisioner && c.Spec.VolumeName == "" && c.Status.Phase == corev1.ClaimPending {
			errs = append(errs, v.create(ctx, c))
		}
	}
	existing, err := v.volumes.List(labels.Everything())
	if err != nil {
		return err
	}
	for _, pv := range existing {
		if pv.Annotations[provisionedByAnnotation] == provisioner && pv.Status.Phase == corev1.VolumeReleased &&
			pv.Spec.PersistentVolumeReclaimPolicy == corev1.PersistentVolumeReclaimDelete {
			errs = append(errs, v.delete(ctx, pv))
		}
	}
	return errors.Join(errs...)
}

func (v volumes) create(ctx context.Context, claim *corev1.PersistentVolumeClaim) error {
	name := "pvc-" + string(claim.UID)
	dir := filepath.Join(v.root, name)
	if err := os.MkdirAll(dir, 0o777); err != nil {
		return err
	}
	// Once more, past the umask.
	if err := os.Chmod(dir, 0o777); err != nil {
		return err
	}
	mustExist := corev1.HostPathDirectory
	_, err := v.client.CoreV1().PersistentVolumes().Create(ctx, &corev1.PersistentVolume{
		ObjectMeta: metav1.ObjectMeta{Name: name, Annotations: map[string]string{provisionedByAnnotation: provisioner}},
		Spec: corev1.PersistentVolumeSpec{
			Capacity:                      claim.Spec.Resources.Requests,
			AccessModes:                   claim.Spec.AccessModes,
			StorageClassName:              *claim.Spec.StorageClassName,
			PersistentVolumeReclaimPolicy: corev1.PersistentVolumeReclaimDelete,
			VolumeMode:                    claim.Spec.VolumeMode,
			ClaimRef: &corev1.ObjectReference{
				Kind: "PersistentVolumeClaim", APIVersion: "v1", Namespace: claim.Namespace, Name: claim.Name, UID: claim.UID,
			},
			PersistentVolumeSource: corev1.PersistentVolumeSource{HostPath: &corev1.HostPathVolumeSource{Path: dir, Type: &mustExist}},
		},
	}, metav1.CreateOptions{})
	if apierrors.IsAlreadyExists(err) {
		return nil // made in an earlier round which the cache does not show yet
	}
	fmt.Println("create", name, "for", claim.Namespace+"/"+claim.Name, "error:", err)
	return err
}

func (v volumes) delete(ctx context.Context, pv *corev1.PersistentVolume) error {
	if dir := pv.Spec.HostPath.Path; filepath.Dir(dir) == v.root {
		if err := os.RemoveAll(dir); err != nil {
			return err
		}
	}
	err := v.client.CoreV1().PersistentVolumes().Delete(ctx, pv.Name, metav1.DeleteOptions{})
	if apierrors.IsNotFound(err) {
		return nil
	}
	fmt.Println("delete", pv.Name, "error:", err)
	return err
}
