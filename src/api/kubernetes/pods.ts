import type { ConfigurationSession } from "../../configuration/index.ts";
import { namespace, type KubernetesObject } from "./objects.ts";

/**
 * What clients see of a session of CFS in Kubernetes: the pod of its job. There is no pod here, only the session; its
 * one container is the run of its playbooks. Undefined as long as the session has no job.
 */
export function podOf(session: ConfigurationSession): KubernetesObject | undefined {
  const { name, job, status, succeeded, startTime } = session;
  if (job === undefined) return undefined;
  const phase =
    status === "pending" ? "Pending" : status === "running" ? "Running" : succeeded === "true" ? "Succeeded" : "Failed";
  const pod = {
    apiVersion: "v1" as const,
    kind: "Pod",
    metadata: { name: job, namespace, labels: { "job-name": job, cfsession: name }, creationTimestamp: startTime },
    spec: { restartPolicy: "Never", containers: [{ name: "ansible", image: "netkiln" }] },
    status: {
      phase,
      startTime,
      initContainerStatuses: [],
      containerStatuses: [
        {
          name: "ansible",
          image: "netkiln",
          imageID: "",
          ready: status === "running",
          restartCount: 0,
          state: stateOf(session),
        },
      ],
    },
  };
  return pod;
}

function stateOf({ status, succeeded, startTime, completionTime }: ConfigurationSession) {
  if (status === "pending") return { waiting: { reason: "Pending" } };
  if (status === "running") return { running: { startedAt: startTime } };
  const [exitCode, reason] = succeeded === "true" ? ([0, "Completed"] as const) : ([1, "Error"] as const);
  const finished = completionTime === undefined ? {} : { finishedAt: completionTime };
  return { terminated: { exitCode, reason, startedAt: startTime, ...finished } };
}
