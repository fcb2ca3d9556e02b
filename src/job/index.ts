export { migrations, openJobStore, type JobStore } from "./store.ts";
export { workOn, type Handler } from "./work.ts";
