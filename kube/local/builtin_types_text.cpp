#include "kube/local/builtin_types.hpp"

namespace orrery::local {

// Field names, types and merge keys of the built-in kinds, in the notation that builtin_types.hpp explains. Taken from
// the OpenAPI document of Kubernetes (Apache-2.0), with the fields that later releases added.
const char* builtin_types_text() {
  return R"types(
Affinity nodeAffinity:NodeAffinity podAffinity:PodAffinity podAntiAffinity:PodAntiAffinity
AggregationRule clusterRoleSelectors:[LabelSelector]
AttachedVolume devicePath!:s name!:s
BoundObjectReference apiVersion:s kind:s name:s uid:s
CSIVolumeSource driver!:s fsType:s nodePublishSecretRef:LocalObjectReference readOnly:b volumeAttributes:{s}
Capabilities add:[s] drop:[s]
ClientIPConfig timeoutSeconds:i
ClusterRole aggregationRule:AggregationRule apiVersion:s kind:s metadata:ObjectMeta rules:[PolicyRule]
ClusterRoleBinding apiVersion:s kind:s metadata:ObjectMeta roleRef!:RoleRef subjects:[Subject]
Condition lastTransitionTime!:t message!:s observedGeneration:i reason!:s status!:s type!:s
ConfigMap apiVersion:s binaryData:{B} data:{s} immutable:b kind:s metadata:ObjectMeta
ConfigMapEnvSource name:s optional:b
ConfigMapKeySelector key!:s name:s optional:b
ConfigMapNodeConfigSource kubeletConfigKey!:s name!:s namespace!:s resourceVersion:s uid:s
ConfigMapProjection items:[KeyToPath] name:s optional:b
ConfigMapVolumeSource defaultMode:i items:[KeyToPath] name:s optional:b
Container args:[s] command:[s] env:[EnvVar]~name envFrom:[EnvFromSource] image:s imagePullPolicy:s
  lifecycle:Lifecycle livenessProbe:Probe name!:s ports:[ContainerPort]@containerPort+protocol~containerPort
  readinessProbe:Probe resources:ResourceRequirements securityContext:SecurityContext startupProbe:Probe stdin:b
  stdinOnce:b terminationMessagePath:s terminationMessagePolicy:s tty:b volumeDevices:[VolumeDevice]~devicePath
  volumeMounts:[VolumeMount]~mountPath workingDir:s restartPolicy:s resizePolicy:[o]
ContainerImage names!:[s] sizeBytes:i
ContainerPort containerPort!:i hostIP:s hostPort:i name:s protocol:s
ContainerState running:ContainerStateRunning terminated:ContainerStateTerminated waiting:ContainerStateWaiting
ContainerStateRunning startedAt:t
ContainerStateTerminated containerID:s exitCode!:i finishedAt:t message:s reason:s signal:i startedAt:t
ContainerStateWaiting message:s reason:s
ContainerStatus containerID:s image!:s imageID!:s lastState:ContainerState name!:s ready!:b restartCount!:i
  started:b state:ContainerState allocatedResources:{q} resources:o volumeMounts:[o]
CustomResourceColumnDefinition description:s format:s jsonPath!:s name!:s priority:i type!:s
CustomResourceConversion strategy!:s webhook:WebhookConversion
CustomResourceDefinition apiVersion:s kind:s metadata:ObjectMeta spec!:CustomResourceDefinitionSpec
  status:CustomResourceDefinitionStatus
CustomResourceDefinitionCondition lastTransitionTime:t message:s reason:s status!:s type!:s
CustomResourceDefinitionNames categories:[s] kind!:s listKind:s plural!:s shortNames:[s] singular:s
CustomResourceDefinitionSpec conversion:CustomResourceConversion group!:s names!:CustomResourceDefinitionNames
  preserveUnknownFields:b scope!:s versions!:[CustomResourceDefinitionVersion]
CustomResourceDefinitionStatus acceptedNames:CustomResourceDefinitionNames
  conditions:[CustomResourceDefinitionCondition]~type storedVersions:[s]
CustomResourceDefinitionVersion additionalPrinterColumns:[CustomResourceColumnDefinition] deprecated:b
  deprecationWarning:s name!:s schema:CustomResourceValidation served!:b storage!:b
  subresources:CustomResourceSubresources selectableFields:[o]
CustomResourceSubresourceScale labelSelectorPath:s specReplicasPath!:s statusReplicasPath!:s
CustomResourceSubresourceStatus
CustomResourceSubresources scale:CustomResourceSubresourceScale status:CustomResourceSubresourceStatus
CustomResourceValidation openAPIV3Schema:o
DaemonEndpoint Port!:i
DeleteOptions apiVersion:s dryRun:[s] gracePeriodSeconds:i kind:s orphanDependents:b preconditions:Preconditions
  propagationPolicy:s ignoreStoreReadErrorWithClusterBreakingPotential:b
Deployment apiVersion:s kind:s metadata:ObjectMeta spec:DeploymentSpec status:DeploymentStatus
DeploymentCondition lastTransitionTime:t lastUpdateTime:t message:s reason:s status!:s type!:s
DeploymentSpec minReadySeconds:i paused:b progressDeadlineSeconds:i replicas:i revisionHistoryLimit:i
  selector!:LabelSelector strategy:DeploymentStrategy template!:PodTemplateSpec
DeploymentStatus availableReplicas:i collisionCount:i conditions:[DeploymentCondition]~type observedGeneration:i
  readyReplicas:i replicas:i unavailableReplicas:i updatedReplicas:i terminatingReplicas:i
DeploymentStrategy rollingUpdate:RollingUpdateDeployment type:s
DiscoveryEndpointPort appProtocol:s name:s port:i protocol:s
DownwardAPIProjection items:[DownwardAPIVolumeFile]
DownwardAPIVolumeFile fieldRef:ObjectFieldSelector mode:i path!:s resourceFieldRef:ResourceFieldSelector
DownwardAPIVolumeSource defaultMode:i items:[DownwardAPIVolumeFile]
EmptyDirVolumeSource medium:s sizeLimit:q
Endpoint addresses!:[s]* conditions:EndpointConditions hostname:s nodeName:s targetRef:ObjectReference topology:{s}
  deprecatedTopology:{s} zone:s hints:o
EndpointAddress hostname:s ip!:s nodeName:s targetRef:ObjectReference
EndpointConditions ready:b serving:b terminating:b
EndpointPort appProtocol:s name:s port!:i protocol:s
EndpointSlice addressType!:s apiVersion:s endpoints!:[Endpoint] kind:s metadata:ObjectMeta
  ports:[DiscoveryEndpointPort]
EndpointSubset addresses:[EndpointAddress] notReadyAddresses:[EndpointAddress] ports:[EndpointPort]
Endpoints apiVersion:s kind:s metadata:ObjectMeta subsets:[EndpointSubset]
EnvFromSource configMapRef:ConfigMapEnvSource prefix:s secretRef:SecretEnvSource
EnvVar name!:s value:s valueFrom:EnvVarSource
EnvVarSource configMapKeyRef:ConfigMapKeySelector fieldRef:ObjectFieldSelector
  resourceFieldRef:ResourceFieldSelector secretKeyRef:SecretKeySelector
EphemeralVolumeSource readOnly:b volumeClaimTemplate:PersistentVolumeClaimTemplate
Event action:s apiVersion:s count:i eventTime:t firstTimestamp:t involvedObject!:ObjectReference kind:s
  lastTimestamp:t message:s metadata!:ObjectMeta reason:s related:ObjectReference reportingComponent:s
  reportingInstance:s series:EventSeries source:EventSource type:s
EventSeries count:i lastObservedTime:t
EventSource component:s host:s
ExecAction command:[s]
HTTPGetAction host:s httpHeaders:[HTTPHeader] path:s port!:q scheme:s
HTTPHeader name!:s value!:s
Handler exec:ExecAction httpGet:HTTPGetAction tcpSocket:TCPSocketAction sleep:o
HostAlias hostnames:[s] ip:s
HostPathVolumeSource path!:s type:s
KeyToPath key!:s mode:i path!:s
LabelSelector matchExpressions:[LabelSelectorRequirement] matchLabels:{s}
LabelSelectorRequirement key!:s operator!:s values:[s]
Lease apiVersion:s kind:s metadata:ObjectMeta spec:LeaseSpec
LeaseSpec acquireTime:t holderIdentity:s leaseDurationSeconds:i leaseTransitions:i renewTime:t strategy:s
  preferredHolder:s
Lifecycle postStart:Handler preStop:Handler
ListMeta continue:s remainingItemCount:i resourceVersion:s selfLink:s
LoadBalancerIngress hostname:s ip:s ports:[PortStatus]
LoadBalancerStatus ingress:[LoadBalancerIngress]
LocalObjectReference name:s
ManagedFieldsEntry apiVersion:s fieldsType:s fieldsV1:o manager:s operation:s time:t
NFSVolumeSource path!:s readOnly:b server!:s
Namespace apiVersion:s kind:s metadata:ObjectMeta spec:NamespaceSpec status:NamespaceStatus
NamespaceCondition lastTransitionTime:t message:s reason:s status!:s type!:s
NamespaceSpec finalizers:[s]
NamespaceStatus conditions:[NamespaceCondition]~type phase:s
Node apiVersion:s kind:s metadata:ObjectMeta spec:NodeSpec status:NodeStatus
NodeAddress address!:s type!:s
NodeAffinity preferredDuringSchedulingIgnoredDuringExecution:[PreferredSchedulingTerm]
  requiredDuringSchedulingIgnoredDuringExecution:NodeSelector
NodeCondition lastHeartbeatTime:t lastTransitionTime:t message:s reason:s status!:s type!:s
NodeConfigSource configMap:ConfigMapNodeConfigSource
NodeConfigStatus active:NodeConfigSource assigned:NodeConfigSource error:s lastKnownGood:NodeConfigSource
NodeDaemonEndpoints kubeletEndpoint:DaemonEndpoint
NodeSelector nodeSelectorTerms!:[NodeSelectorTerm]
NodeSelectorRequirement key!:s operator!:s values:[s]
NodeSelectorTerm matchExpressions:[NodeSelectorRequirement] matchFields:[NodeSelectorRequirement]
NodeSpec configSource:NodeConfigSource externalID:s podCIDR:s podCIDRs:[s]* providerID:s taints:[Taint]
  unschedulable:b
NodeStatus addresses:[NodeAddress]~type allocatable:{q} capacity:{q} conditions:[NodeCondition]~type
  config:NodeConfigStatus daemonEndpoints:NodeDaemonEndpoints images:[ContainerImage] nodeInfo:NodeSystemInfo
  phase:s volumesAttached:[AttachedVolume] volumesInUse:[s]
NodeSystemInfo architecture!:s bootID!:s containerRuntimeVersion!:s kernelVersion!:s kubeProxyVersion!:s
  kubeletVersion!:s machineID!:s operatingSystem!:s osImage!:s systemUUID!:s
NonResourceAttributes path:s verb:s
NonResourceRule nonResourceURLs:[s] verbs!:[s]
ObjectFieldSelector apiVersion:s fieldPath!:s
ObjectMeta annotations:{s} clusterName:s creationTimestamp:t deletionGracePeriodSeconds:i deletionTimestamp:t
  finalizers:[s]* generateName:s generation:i labels:{s} managedFields:[ManagedFieldsEntry] name:s namespace:s
  ownerReferences:[OwnerReference]~uid resourceVersion:s selfLink:s uid:s
ObjectReference apiVersion:s fieldPath:s kind:s name:s namespace:s resourceVersion:s uid:s
OwnerReference apiVersion!:s blockOwnerDeletion:b controller:b kind!:s name!:s uid!:s
PersistentVolumeClaimSpec accessModes:[s] dataSource:TypedLocalObjectReference resources:ResourceRequirements
  selector:LabelSelector storageClassName:s volumeMode:s volumeName:s dataSourceRef:o volumeAttributesClassName:s
PersistentVolumeClaimTemplate metadata:ObjectMeta spec!:PersistentVolumeClaimSpec
PersistentVolumeClaimVolumeSource claimName!:s readOnly:b
Pod apiVersion:s kind:s metadata:ObjectMeta spec:PodSpec status:PodStatus
PodAffinity preferredDuringSchedulingIgnoredDuringExecution:[WeightedPodAffinityTerm]
  requiredDuringSchedulingIgnoredDuringExecution:[PodAffinityTerm]
PodAffinityTerm labelSelector:LabelSelector namespaces:[s] topologyKey!:s namespaceSelector:LabelSelector
  matchLabelKeys:[s] mismatchLabelKeys:[s]
PodAntiAffinity preferredDuringSchedulingIgnoredDuringExecution:[WeightedPodAffinityTerm]
  requiredDuringSchedulingIgnoredDuringExecution:[PodAffinityTerm]
PodCondition lastProbeTime:t lastTransitionTime:t message:s reason:s status!:s type!:s observedGeneration:i
PodDNSConfig nameservers:[s] options:[PodDNSConfigOption] searches:[s]
PodDNSConfigOption name:s value:s
PodDisruptionBudget apiVersion:s kind:s metadata:ObjectMeta spec:PodDisruptionBudgetSpec
  status:PodDisruptionBudgetStatus
PodDisruptionBudgetSpec maxUnavailable:q minAvailable:q selector:LabelSelector unhealthyPodEvictionPolicy:s
PodDisruptionBudgetStatus currentHealthy!:i desiredHealthy!:i disruptedPods:{t} disruptionsAllowed!:i
  expectedPods!:i observedGeneration:i
PodIP ip:s
PodReadinessGate conditionType!:s
PodSecurityContext fsGroup:i fsGroupChangePolicy:s runAsGroup:i runAsNonRoot:b runAsUser:i
  seLinuxOptions:SELinuxOptions seccompProfile:SeccompProfile supplementalGroups:[i] sysctls:[Sysctl]
  windowsOptions:WindowsSecurityContextOptions appArmorProfile:o supplementalGroupsPolicy:s
PodSpec activeDeadlineSeconds:i affinity:Affinity automountServiceAccountToken:b containers!:[Container]~name
  dnsConfig:PodDNSConfig dnsPolicy:s enableServiceLinks:b ephemeralContainers:[o]~name hostAliases:[HostAlias]~ip
  hostIPC:b hostNetwork:b hostPID:b hostname:s imagePullSecrets:[LocalObjectReference]~name
  initContainers:[Container]~name nodeName:s nodeSelector:{s} overhead:{q} preemptionPolicy:s priority:i
  priorityClassName:s readinessGates:[PodReadinessGate] restartPolicy:s runtimeClassName:s schedulerName:s
  securityContext:PodSecurityContext serviceAccount:s serviceAccountName:s setHostnameAsFQDN:b
  shareProcessNamespace:b subdomain:s terminationGracePeriodSeconds:i tolerations:[Toleration]
  topologySpreadConstraints:[TopologySpreadConstraint]@topologyKey+whenUnsatisfiable~topologyKey
  volumes:[Volume]~name os:o schedulingGates:[o]~name resourceClaims:[o]~name hostUsers:b resources:o
PodStatus conditions:[PodCondition]~type containerStatuses:[ContainerStatus]
  ephemeralContainerStatuses:[ContainerStatus] hostIP:s initContainerStatuses:[ContainerStatus] message:s
  nominatedNodeName:s phase:s podIP:s podIPs:[PodIP]~ip qosClass:s reason:s startTime:t hostIPs:[o]
  resourceClaimStatuses:[o]~name resize:s observedGeneration:i
PodTemplateSpec metadata:ObjectMeta spec:PodSpec
PolicyRule apiGroups:[s] nonResourceURLs:[s] resourceNames:[s] resources:[s] verbs!:[s]
PortStatus error:s port!:i protocol!:s
Preconditions resourceVersion:s uid:s
PreferredSchedulingTerm preference!:NodeSelectorTerm weight!:i
Probe exec:ExecAction failureThreshold:i httpGet:HTTPGetAction initialDelaySeconds:i periodSeconds:i
  successThreshold:i tcpSocket:TCPSocketAction timeoutSeconds:i grpc:o terminationGracePeriodSeconds:i
ProjectedVolumeSource defaultMode:i sources:[VolumeProjection]
ReplicaSet apiVersion:s kind:s metadata:ObjectMeta spec:ReplicaSetSpec status:ReplicaSetStatus
ReplicaSetCondition lastTransitionTime:t message:s reason:s status!:s type!:s
ReplicaSetSpec minReadySeconds:i replicas:i selector!:LabelSelector template:PodTemplateSpec
ReplicaSetStatus availableReplicas:i conditions:[ReplicaSetCondition]~type fullyLabeledReplicas:i
  observedGeneration:i readyReplicas:i replicas!:i terminatingReplicas:i
ResourceAttributes group:s name:s namespace:s resource:s subresource:s verb:s version:s
ResourceFieldSelector containerName:s divisor:q resource!:s
ResourceRequirements limits:{q} requests:{q}
ResourceRule apiGroups:[s] resourceNames:[s] resources:[s] verbs!:[s]
Role apiVersion:s kind:s metadata:ObjectMeta rules:[PolicyRule]
RoleBinding apiVersion:s kind:s metadata:ObjectMeta roleRef!:RoleRef subjects:[Subject]
RoleRef apiGroup!:s kind!:s name!:s
RollingUpdateDeployment maxSurge:q maxUnavailable:q
SELinuxOptions level:s role:s type:s user:s
Scale apiVersion:s kind:s metadata:ObjectMeta spec:ScaleSpec status:ScaleStatus
ScaleSpec replicas:i
ScaleStatus replicas!:i selector:s
SeccompProfile localhostProfile:s type!:s
Secret apiVersion:s data:{B} immutable:b kind:s metadata:ObjectMeta stringData:{s} type:s
SecretEnvSource name:s optional:b
SecretKeySelector key!:s name:s optional:b
SecretProjection items:[KeyToPath] name:s optional:b
SecretVolumeSource defaultMode:i items:[KeyToPath] optional:b secretName:s
SecurityContext allowPrivilegeEscalation:b capabilities:Capabilities privileged:b procMount:s
  readOnlyRootFilesystem:b runAsGroup:i runAsNonRoot:b runAsUser:i seLinuxOptions:SELinuxOptions
  seccompProfile:SeccompProfile windowsOptions:WindowsSecurityContextOptions appArmorProfile:o
SelfSubjectAccessReview apiVersion:s kind:s metadata:ObjectMeta spec!:SelfSubjectAccessReviewSpec
  status:SubjectAccessReviewStatus
SelfSubjectAccessReviewSpec nonResourceAttributes:NonResourceAttributes resourceAttributes:ResourceAttributes
SelfSubjectRulesReview apiVersion:s kind:s metadata:ObjectMeta spec!:SelfSubjectRulesReviewSpec
  status:SubjectRulesReviewStatus
SelfSubjectRulesReviewSpec namespace:s
Service apiVersion:s kind:s metadata:ObjectMeta spec:ServiceSpec status:ServiceStatus
ServiceAccount apiVersion:s automountServiceAccountToken:b imagePullSecrets:[LocalObjectReference] kind:s
  metadata:ObjectMeta secrets:[ObjectReference]~name
ServiceAccountTokenProjection audience:s expirationSeconds:i path!:s
ServicePort appProtocol:s name:s nodePort:i port!:i protocol:s targetPort:q
ServiceReference name!:s namespace!:s path:s port:i
ServiceSpec allocateLoadBalancerNodePorts:b clusterIP:s clusterIPs:[s] externalIPs:[s] externalName:s
  externalTrafficPolicy:s healthCheckNodePort:i ipFamilies:[s] ipFamilyPolicy:s loadBalancerIP:s
  loadBalancerSourceRanges:[s] ports:[ServicePort]@port+protocol~port publishNotReadyAddresses:b selector:{s}
  sessionAffinity:s sessionAffinityConfig:SessionAffinityConfig topologyKeys:[s] type:s internalTrafficPolicy:s
  trafficDistribution:s loadBalancerClass:s
ServiceStatus conditions:[Condition]@type loadBalancer:LoadBalancerStatus
SessionAffinityConfig clientIP:ClientIPConfig
Status apiVersion:s code:i details:StatusDetails kind:s message:s metadata:ListMeta reason:s status:s
StatusCause field:s message:s reason:s
StatusDetails causes:[StatusCause] group:s kind:s name:s retryAfterSeconds:i uid:s
Subject apiGroup:s kind!:s name!:s namespace:s
SubjectAccessReview apiVersion:s kind:s metadata:ObjectMeta spec!:SubjectAccessReviewSpec
  status:SubjectAccessReviewStatus
SubjectAccessReviewSpec extra:{[s]} groups:[s] nonResourceAttributes:NonResourceAttributes
  resourceAttributes:ResourceAttributes uid:s user:s
SubjectAccessReviewStatus allowed!:b denied:b evaluationError:s reason:s
SubjectRulesReviewStatus evaluationError:s incomplete!:b nonResourceRules!:[NonResourceRule]
  resourceRules!:[ResourceRule]
Sysctl name!:s value!:s
TCPSocketAction host:s port!:q
Taint effect!:s key!:s timeAdded:t value:s
TokenRequest apiVersion:s kind:s metadata:ObjectMeta spec!:TokenRequestSpec status:TokenRequestStatus
TokenRequestSpec audiences!:[s] boundObjectRef:BoundObjectReference expirationSeconds:i
TokenRequestStatus expirationTimestamp!:t token!:s
TokenReview apiVersion:s kind:s metadata:ObjectMeta spec!:TokenReviewSpec status:TokenReviewStatus
TokenReviewSpec audiences:[s] token:s
TokenReviewStatus audiences:[s] authenticated:b error:s user:UserInfo
Toleration effect:s key:s operator:s tolerationSeconds:i value:s
TopologySpreadConstraint labelSelector:LabelSelector maxSkew!:i topologyKey!:s whenUnsatisfiable!:s minDomains:i
  matchLabelKeys:[s] nodeAffinityPolicy:s nodeTaintsPolicy:s
TypedLocalObjectReference apiGroup:s kind!:s name!:s
UserInfo extra:{[s]} groups:[s] uid:s username:s
Volume awsElasticBlockStore:o azureDisk:o azureFile:o cephfs:o cinder:o configMap:ConfigMapVolumeSource
  csi:CSIVolumeSource downwardAPI:DownwardAPIVolumeSource emptyDir:EmptyDirVolumeSource
  ephemeral:EphemeralVolumeSource fc:o flexVolume:o flocker:o gcePersistentDisk:o gitRepo:o glusterfs:o
  hostPath:HostPathVolumeSource iscsi:o name!:s nfs:NFSVolumeSource
  persistentVolumeClaim:PersistentVolumeClaimVolumeSource photonPersistentDisk:o portworxVolume:o
  projected:ProjectedVolumeSource quobyte:o rbd:o scaleIO:o secret:SecretVolumeSource storageos:o vsphereVolume:o
  image:o
VolumeDevice devicePath!:s name!:s
VolumeMount mountPath!:s mountPropagation:s name!:s readOnly:b subPath:s subPathExpr:s
VolumeProjection configMap:ConfigMapProjection downwardAPI:DownwardAPIProjection secret:SecretProjection
  serviceAccountToken:ServiceAccountTokenProjection
WebhookClientConfig caBundle:B service:ServiceReference url:s
WebhookConversion clientConfig:WebhookClientConfig conversionReviewVersions!:[s]
WeightedPodAffinityTerm podAffinityTerm!:PodAffinityTerm weight!:i
WindowsSecurityContextOptions gmsaCredentialSpec:s gmsaCredentialSpecName:s runAsUserName:s
)types";
}

}  // namespace orrery::local
