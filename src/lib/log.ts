import { pino } from "pino";

/** The server's and the worker's own log: one JSON object a line on standard error. Never holds secrets. */
export const log = pino(
  { base: null, timestamp: pino.stdTimeFunctions.isoTime, level: "info" },
  pino.destination({ fd: 2, sync: true }),
);
