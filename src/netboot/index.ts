export { answerBytes } from "./bytes.ts";
export { dnsmasqConfig } from "./dhcp.ts";
