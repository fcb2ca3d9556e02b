/** Tools of Debian that a bench compares with. */
import { execFileSync } from "node:child_process";

/** Installs those packages that are missing; needs root. */
export function installMissing(names: readonly string[]): void {
  const missing = names.filter((name) => {
    try {
      const status = execFileSync("dpkg-query", ["-W", "-f=${db:Status-Status}", name], { stdio: "pipe" });
      return status.toString() !== "installed";
    } catch {
      return true;
    }
  });
  if (missing.length === 0) return;
  console.log(`installing from Debian: ${missing.join(" ")}`);
  const options = {
    stdio: ["ignore", "ignore", "inherit"],
    env: { ...process.env, DEBIAN_FRONTEND: "noninteractive" },
  };
  const apt = (...args: string[]) =>
    execFileSync("apt-get", ["-qq", "-o", "DPkg::Lock::Timeout=600", ...args], options as object);
  apt("update");
  apt("install", "-y", "--no-install-recommends", ...missing);
}
