/** npm run bench NAME [-- OPTION...]: prints a table and, last, one line of JSON. */
const benches = {
  build: () => import("./build.ts"),
  reproduce: () => import("./reproduce.ts"),
  api: () => import("./api.ts"),
} as const;

const [name = "", ...options] = process.argv.slice(2);
if (!(name in benches)) {
  console.error(`usage: npm run bench NAME [-- OPTION...], with one of: ${Object.keys(benches).join(", ")}`);
  process.exit(2);
}
const { bench } = await benches[name as keyof typeof benches]();
await bench(options);
