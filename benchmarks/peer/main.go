// Command peer places the pending pods of some manifests with Karpenter's own scheduler and prints what it took.
//
//	peer MANIFESTS(.gz) CATALOG(.gz)
//
// The whole pass is measured, as its provisioner runs it: listing, topology, scheduling. Nothing is created. Seconds are
// those of the clock or of the processor, whichever are fewer.
package main

import (
	"compress/gzip"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
	"syscall"
	"time"

	"github.com/awslabs/operatorpkg/status"
	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apimachinery/pkg/util/yaml"
	"k8s.io/client-go/kubernetes/scheme"
	"k8s.io/client-go/tools/record"
	"k8s.io/utils/clock"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/client/fake"
	karpenter "sigs.k8s.io/karpenter/pkg/apis/v1"
	"sigs.k8s.io/karpenter/pkg/cloudprovider"
	"sigs.k8s.io/karpenter/pkg/controllers/dynamicresources/deviceallocation"
	"sigs.k8s.io/karpenter/pkg/controllers/provisioning"
	"sigs.k8s.io/karpenter/pkg/controllers/state"
	"sigs.k8s.io/karpenter/pkg/events"
	"sigs.k8s.io/karpenter/pkg/operator/options"
	"sigs.k8s.io/karpenter/pkg/scheduling"
	"sigs.k8s.io/karpenter/pkg/state/virtualpods"
	"sigs.k8s.io/karpenter/pkg/test/v1alpha1"
)

// catalogue is the file that says what can be bought.
type catalogue struct {
	InstanceTypes []struct {
		Name         string
		Requirements []corev1.NodeSelectorRequirement
		Capacity     corev1.ResourceList
		Overhead     cloudprovider.InstanceTypeOverhead
		Offerings    []struct {
			Zone, ZoneID, CapacityType string
			Price                      float64
			Available                  bool
		}
	}
}

// seller is a cloud that has instance types and does nothing.
type seller struct {
	cloudprovider.CloudProvider
	types []*cloudprovider.InstanceType
}

func (s seller) GetInstanceTypes(context.Context, *karpenter.NodePool) ([]*cloudprovider.InstanceType, error) {
	return s.types, nil
}

func (s seller) GetSupportedNodeClasses() []status.Object {
	return []status.Object{&v1alpha1.TestNodeClass{}}
}

func (s seller) Name() string { return "seller" }

func main() {
	if err := run(os.Args[1:]); err != nil {
		fmt.Fprintln(os.Stderr, "peer:", err)
		os.Exit(1)
	}
}

func run(arguments []string) error {
	if len(arguments) != 2 {
		return errors.New("needs a file of manifests and a catalogue")
	}
	types, err := readTypes(arguments[1])
	if err != nil {
		return err
	}
	objects, err := readObjects(arguments[0])
	if err != nil {
		return err
	}
	ctx := options.ToContext(context.Background(), &options.Options{
		CPURequests:       2000,
		PreferencePolicy:  options.PreferencePolicyRespect,
		MinValuesPolicy:   options.MinValuesPolicyStrict,
		IgnoreDRARequests: true,
	})
	cluster := fake.NewClientBuilder().WithScheme(scheme.Scheme).WithObjects(objects...).WithStatusSubresource(objects...).
		WithIndex(&corev1.Pod{}, "spec.nodeName", func(o client.Object) []string {
			return []string{o.(*corev1.Pod).Spec.NodeName}
		}).Build()
	cloud := seller{types: types}
	provisioner := provisioning.NewProvisioner(
		cluster, events.NewRecorder(&record.FakeRecorder{}), cloud, state.NewCluster(clock.RealClock{}, cluster, cloud),
		clock.RealClock{}, deviceallocation.NewController(cluster), virtualpods.NewVirtualPodCache(cluster))
	started, used := time.Now(), processorTime()
	results, err := provisioner.Schedule(ctx)
	// On a busy machine the clock counts what others do, and on an idle one it does not count what ran side by side.
	seconds := min(time.Since(started), processorTime()-used).Seconds()
	if err != nil {
		return err
	}
	dollars := 0.0
	for _, claim := range results.NewNodeClaims {
		cheapest := claim.InstanceTypeOptions.OrderByPrice(claim.Requirements)[0]
		dollars += cheapest.Offerings.Available().Compatible(claim.Requirements).Cheapest().Price
	}
	return json.NewEncoder(os.Stdout).Encode(map[string]any{
		"seconds": seconds, "nodes": len(results.NewNodeClaims), "unplaced": len(results.PodErrors), "dollars": dollars,
	})
}

// processorTime is what this process has used so far, all threads together.
func processorTime() time.Duration {
	var usage syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &usage); err != nil {
		panic(err)
	}
	return time.Duration(usage.Utime.Nano() + usage.Stime.Nano())
}

func readTypes(path string) ([]*cloudprovider.InstanceType, error) {
	file, err := open(path)
	if err != nil {
		return nil, err
	}
	defer file.Close()
	var read catalogue
	if err := json.NewDecoder(file).Decode(&read); err != nil {
		return nil, err
	}
	var types []*cloudprovider.InstanceType
	for _, each := range read.InstanceTypes {
		kind := &cloudprovider.InstanceType{
			Name:         each.Name,
			Requirements: scheduling.NewNodeSelectorRequirements(each.Requirements...),
			Capacity:     each.Capacity,
			Overhead:     &each.Overhead,
		}
		var zones, terms []string
		for _, offering := range each.Offerings {
			zones, terms = append(zones, offering.Zone), append(terms, offering.CapacityType)
			labels := map[string]string{
				corev1.LabelTopologyZone: offering.Zone, karpenter.CapacityTypeLabelKey: offering.CapacityType,
			}
			if offering.ZoneID != "" {
				labels["topology.k8s.aws/zone-id"] = offering.ZoneID
			}
			kind.Offerings = append(kind.Offerings, &cloudprovider.Offering{
				Requirements: scheduling.NewLabelRequirements(labels), Price: offering.Price, Available: offering.Available,
			})
		}
		kind.Requirements.Add(
			scheduling.NewRequirement(corev1.LabelInstanceTypeStable, corev1.NodeSelectorOpIn, each.Name),
			scheduling.NewRequirement(corev1.LabelTopologyZone, corev1.NodeSelectorOpIn, zones...),
			scheduling.NewRequirement(karpenter.CapacityTypeLabelKey, corev1.NodeSelectorOpIn, terms...),
		)
		for key := range kind.Requirements {
			karpenter.WellKnownLabels.Insert(key)
		}
		types = append(types, kind)
	}
	return types, nil
}

// readObjects are the NodePools, made ready, and the pods, with those that Deployments stand for.
func readObjects(path string) ([]client.Object, error) {
	file, err := open(path)
	if err != nil {
		return nil, err
	}
	defer file.Close()
	var objects []client.Object
	for decoder := yaml.NewYAMLOrJSONDecoder(file, 4096); ; {
		var raw json.RawMessage
		if err := decoder.Decode(&raw); errors.Is(err, io.EOF) {
			return objects, nil
		} else if err != nil {
			return nil, err
		}
		var kind struct{ Kind string }
		if err := json.Unmarshal(raw, &kind); err != nil || kind.Kind == "" {
			continue
		}
		found, err := decode(kind.Kind, raw)
		if err != nil {
			return nil, err
		}
		objects = append(objects, found...)
	}
}

func decode(kind string, raw []byte) ([]client.Object, error) {
	switch kind {
	case "NodePool":
		pool := &karpenter.NodePool{}
		if err := json.Unmarshal(raw, pool); err != nil {
			return nil, err
		}
		pool.Spec.Template.Spec.NodeClassRef = &karpenter.NodeClassReference{
			Group: v1alpha1.Group, Kind: "TestNodeClass", Name: "default",
		}
		for _, condition := range []string{
			karpenter.ConditionTypeValidationSucceeded, karpenter.ConditionTypeNodeClassReady,
		} {
			pool.StatusConditions().SetTrue(condition)
		}
		return []client.Object{pool}, nil
	case "Pod":
		pod := &corev1.Pod{}
		if err := json.Unmarshal(raw, pod); err != nil {
			return nil, err
		}
		return []client.Object{pending(pod)}, nil
	case "Deployment":
		deployment := &appsv1.Deployment{}
		if err := json.Unmarshal(raw, deployment); err != nil {
			return nil, err
		}
		var pods []client.Object
		for number := range *deployment.Spec.Replicas {
			pod := &corev1.Pod{ObjectMeta: deployment.Spec.Template.ObjectMeta, Spec: deployment.Spec.Template.Spec}
			pod.Name, pod.Namespace = fmt.Sprintf("%s-%d", deployment.Name, number), deployment.Namespace
			pods = append(pods, pending(pod.DeepCopy()))
		}
		return pods, nil
	}
	return nil, nil
}

// pending is the pod as the scheduler leaves it that found no node.
func pending(pod *corev1.Pod) *corev1.Pod {
	pod.UID = types.UID(pod.Namespace + "/" + pod.Name)
	pod.Status.Phase = corev1.PodPending
	pod.Status.Conditions = []corev1.PodCondition{{
		Type: corev1.PodScheduled, Status: corev1.ConditionFalse, Reason: corev1.PodReasonUnschedulable,
	}}
	return pod
}

func open(path string) (io.ReadCloser, error) {
	file, err := os.Open(path)
	if err != nil || !strings.HasSuffix(path, ".gz") {
		return file, err
	}
	return gzip.NewReader(file)
}
