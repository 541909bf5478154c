package main

import (
	"context"
	"fmt"
	"os"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/watch"
	"k8s.io/client-go/kubernetes"
)

// One pod that takes longer than this is a broken cluster, not a slow sample.
const readyTimeout = time.Minute

// ready measures a pod's life from create to scheduled, to Ready, and from delete to gone. The watch is opened before
// the pod is made, so no event can be missed and no list is counted.
func ready(ctx context.Context, client kubernetes.Interface, n int, image string, command []string) error {
	if len(command) == 0 {
		command = []string{"sleep", "3600"}
	}
	scheduled, running, gone := samples{name: "pod-scheduled"}, samples{name: "pod-ready"}, samples{name: "pod-gone"}
	for i := range n {
		name := fmt.Sprintf("bench-%d-%d", os.Getpid(), i)
		if err := onePod(ctx, client, name, image, command, &scheduled, &running, &gone); err != nil {
			return fmt.Errorf("pod default/%s: %w", name, err)
		}
	}
	scheduled.report()
	running.report()
	gone.report()
	return nil
}

func onePod(ctx context.Context, client kubernetes.Interface, name, image string, command []string, scheduled, running, gone *samples) error {
	ctx, cancel := context.WithTimeout(ctx, readyTimeout)
	defer cancel()
	pods := client.CoreV1().Pods("default")
	events, err := pods.Watch(ctx, metav1.ListOptions{FieldSelector: "metadata.name=" + name})
	if err != nil {
		return err
	}
	defer events.Stop()

	grace := int64(0)
	start := time.Now()
	_, err = pods.Create(ctx, &corev1.Pod{
		ObjectMeta: metav1.ObjectMeta{Name: name},
		Spec: corev1.PodSpec{
			TerminationGracePeriodSeconds: &grace,
			Containers: []corev1.Container{{
				Name: "main", Image: image, ImagePullPolicy: corev1.PullIfNotPresent, Command: command,
			}},
		},
	}, metav1.CreateOptions{})
	if err != nil {
		return err
	}
	// Also when a sample fails, and when the context is what ended it.
	defer func() {
		_ = pods.Delete(context.WithoutCancel(ctx), name, metav1.DeleteOptions{})
	}()

	bound := false
	err = until(ctx, events, func(_ watch.EventType, p *corev1.Pod) bool {
		if !bound && p.Spec.NodeName != "" {
			bound = true
			scheduled.since(start)
		}
		for _, c := range p.Status.Conditions {
			if c.Type == corev1.PodReady && c.Status == corev1.ConditionTrue {
				return true
			}
		}
		return false
	})
	if err != nil {
		return fmt.Errorf("waiting for Ready: %w", err)
	}
	running.since(start)

	start = time.Now()
	if err := pods.Delete(ctx, name, metav1.DeleteOptions{}); err != nil {
		return err
	}
	if err := until(ctx, events, func(t watch.EventType, _ *corev1.Pod) bool { return t == watch.Deleted }); err != nil {
		return fmt.Errorf("waiting for the deletion: %w", err)
	}
	gone.since(start)
	return nil
}

// until reads events until done says so.
func until(ctx context.Context, events watch.Interface, done func(watch.EventType, *corev1.Pod) bool) error {
	for {
		select {
		case <-ctx.Done():
			return ctx.Err()
		case e, open := <-events.ResultChan():
			if !open {
				return fmt.Errorf("the watch ended")
			}
			if p, ok := e.Object.(*corev1.Pod); ok && done(e.Type, p) {
				return nil
			}
		}
	}
}
