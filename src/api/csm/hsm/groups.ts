import { NetkilnError } from "../../../lib/errors.ts";
import type { ComponentStore, GroupStore, HsmGroup, Inventory } from "../../../node/index.ts";
import { streamList } from "../../json-stream.ts";
import { answer, operation, type Operation } from "../../service.ts";
import { created, deleted, xnameOf } from "./print.ts";
import {
  componentsQuerySchema,
  groupPatchSchema,
  groupQuerySchema,
  groupSchema,
  groupsQuerySchema,
  label,
  memberSchema,
  membersSchema,
  partitionSchema,
  partitionsQuerySchema,
  toFilter,
} from "./schema.ts";

/** Groups and partitions are one kind of thing with two wordings. */
interface Wording {
  readonly noun: "group" | "partition";
  readonly path: string;
  /** Of the labels alone. */
  readonly names: string;
  /** What the path calls the label. */
  readonly key: string;
  /** Begins the contract's names of operations. */
  readonly prefix: string;
  readonly print: (group: HsmGroup) => object;
}

const groupWording: Wording = {
  noun: "group",
  path: "/groups",
  names: "labels",
  key: "group_label",
  prefix: "doGroup",
  print: ({ label: name, description, tags, exclusive, members }) => ({
    label: name,
    description,
    ...(tags.length > 0 && { tags }),
    ...(exclusive !== undefined && { exclusiveGroup: exclusive }),
    members: { ids: members },
  }),
};

const partitionWording: Wording = {
  noun: "partition",
  path: "/partitions",
  names: "names",
  key: "partition_name",
  prefix: "doPartition",
  print: ({ label: name, description, tags, members }) => ({
    name,
    description,
    ...(tags.length > 0 && { tags }),
    members: { ids: members },
  }),
};

export function groupOperations({ components, groups, partitions }: Inventory): Operation[] {
  const inPartition = async (group: HsmGroup, partition: string | undefined): Promise<HsmGroup> => {
    if (partition === undefined) return group;
    const own = new Set(
      (await partitions.list({ labels: [], tags: [] })).flatMap(({ label: name, members }) =>
        name === partition || partition.toLowerCase() === "null" ? members : [],
      ),
    );
    // NULL asks for those that are in no partition.
    const wanted = (xname: string) => own.has(xname) !== (partition.toLowerCase() === "null");
    return { ...group, members: group.members.filter(wanted) };
  };
  return [
    operation({
      id: "doGroupsGet",
      method: "GET",
      path: "/groups",
      query: groupsQuerySchema,
      run: async ({ query }) =>
        answer(200, (await groups.list({ labels: query.group ?? [], tags: query.tag ?? [] })).map(groupWording.print)),
    }),
    operation({
      id: "doGroupsPost",
      method: "POST",
      path: "/groups",
      body: groupSchema,
      run: async ({ body }) => {
        await groups.create({ ...body, exclusive: body.exclusiveGroup });
        return created([`/groups/${body.label}`]);
      },
    }),
    operation({
      id: "doPartitionsGet",
      method: "GET",
      path: "/partitions",
      query: partitionsQuerySchema,
      run: async ({ query }) => {
        const found = await partitions.list({ labels: query.partition ?? [], tags: query.tag ?? [] });
        return answer(200, found.map(partitionWording.print));
      },
    }),
    operation({
      id: "doPartitionsPost",
      method: "POST",
      path: "/partitions",
      body: partitionSchema,
      run: async ({ body: { name, ...said } }) => {
        await partitions.create({ ...said, label: name, exclusive: undefined });
        return created([`/partitions/${name}`]);
      },
    }),
    ...common(groups, groupWording, inPartition),
    ...common(partitions, partitionWording, async (partition) => partition),
    operation({
      id: "setGroupMembers",
      method: "PUT",
      path: "/groups/{group_label}/members",
      body: membersSchema,
      run: async ({ params, body }) => {
        const name = labelOf(params["group_label"]);
        await groups.setMembers(name, body.ids);
        return created(body.ids.map((id) => `/groups/${name}/members/${id}`));
      },
    }),
    ...membershipOperations(components),
  ];
}

function common(
  store: GroupStore,
  { noun, path, names, key, prefix, print }: Wording,
  view: (group: HsmGroup, partition: string | undefined) => Promise<HsmGroup>,
): Operation[] {
  const one = `${path}/{${key}}`;
  const find = async (name: string, partition?: string): Promise<HsmGroup> => {
    const group = await store.get(name);
    if (group === undefined) throw new NetkilnError("not_found", `No such ${noun}: ${name}`);
    return view(group, partition);
  };
  return [
    operation({
      id: noun === "group" ? "doGroupLabelsGet" : "doPartitionNamesGet",
      method: "GET",
      path: `${path}/${names}`,
      run: async () => answer(200, await store.labels()),
    }),
    operation({
      id: `${prefix}Get`,
      method: "GET",
      path: one,
      query: groupQuerySchema,
      run: async ({ params, query }) => answer(200, print(await find(labelOf(params[key]), query.partition))),
    }),
    operation({
      id: `${prefix}Delete`,
      method: "DELETE",
      path: one,
      run: async ({ params }) => {
        if (await store.remove(labelOf(params[key]))) return deleted(1);
        throw new NetkilnError("not_found", `no such ${noun}.`);
      },
    }),
    operation({
      id: `${prefix}Patch`,
      method: "PATCH",
      path: one,
      body: groupPatchSchema,
      run: async ({ params, body }) => {
        await store.change(labelOf(params[key]), body);
        return answer(204);
      },
    }),
    operation({
      id: `${prefix}MembersGet`,
      method: "GET",
      path: `${one}/members`,
      query: groupQuerySchema,
      run: async ({ params, query }) =>
        answer(200, { ids: (await find(labelOf(params[key]), query.partition)).members }),
    }),
    operation({
      id: `${prefix}MembersPost`,
      method: "POST",
      path: `${one}/members`,
      body: memberSchema,
      run: async ({ params, body }) => {
        const name = labelOf(params[key]);
        await store.addMember(name, body.id);
        return created([`${path}/${name}/members/${body.id}`]);
      },
    }),
    operation({
      id: `${prefix}MemberDelete`,
      method: "DELETE",
      path: `${one}/members/{xname_id}`,
      run: async ({ params }) => {
        if (await store.removeMember(labelOf(params[key]), xnameOf(params["xname_id"]))) return deleted(1);
        throw new NetkilnError("not_found", `${noun} has no such member.`);
      },
    }),
  ];
}

function membershipOperations(components: ComponentStore): Operation[] {
  const print = ({ xname, groups, partition }: Awaited<ReturnType<ComponentStore["memberships"]>>[number]) => ({
    id: xname,
    groupLabels: groups,
    partitionName: partition ?? "",
  });
  return [
    operation({
      id: "doMembershipsGet",
      method: "GET",
      path: "/memberships",
      query: componentsQuerySchema,
      run: async ({ query }) =>
        streamList(
          (page) => components.memberships({ ...toFilter(query), xnames: query.id }, page),
          ({ xname }) => xname,
          print,
        ),
    }),
    operation({
      id: "doMembershipGet",
      method: "GET",
      path: "/memberships/{xname}",
      run: async ({ params }) => {
        const xname = xnameOf(params["xname"]);
        const [membership] = await components.memberships({ xnames: [xname] }, { limit: 1 });
        if (membership === undefined) throw new NetkilnError("not_found", `No such xname: ${xname}`);
        return answer(200, print(membership));
      },
    }),
  ];
}

function labelOf(text: string | undefined): string {
  const name = label.safeParse(text);
  if (name.success) return name.data;
  throw new NetkilnError("invalid_input", `Invalid label '${text}'.`);
}
