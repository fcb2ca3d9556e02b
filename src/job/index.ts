export { migrations, openJobStore, type Job, type JobStore } from "./store.ts";
export { workOn, type Handler } from "./work.ts";
