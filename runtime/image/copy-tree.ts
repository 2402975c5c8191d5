/** A folder's content copied to another by stage: by descriptor, with owners, modes, times and attributes; hard links become copies. native/stage/copy_tree.c */

/** Both are descriptors of folders, `to` of an empty one. @param why what the plan says of the step @throws TareError `plan` */
export async function copyTree(from: number, to: number, why: string): Promise<void> {
  // Loaded only when it is needed.
  const { PlanBuilder, runPlan } = await import('../plan/index.js');
  const builder = new PlanBuilder();
  const given = { from: builder.given('from'), to: builder.given('to') };
  builder.outside.copy_tree(given, why);
  builder.outside.exit({ status: 0 });
  await runPlan(builder.build(), { given: { from, to } }).exited;
}
