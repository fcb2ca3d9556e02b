export { openGitLogin, type GitLogin } from "./git-login.ts";
export { openAccountTokens, type AccountTokens } from "./account-tokens.ts";
export { accountKinds, openAccounts, type Account, type AccountStore } from "./accounts.ts";
export { anonymousCaller, localCaller, openAdmission, type Admission, type Caller } from "./admission.ts";
export { openCertificates, type Certificates, type ServerCertificate } from "./certificate.ts";
export { grantTypes, openGrants, publicClient, type GrantRefusal, type GrantRequest, type Grants } from "./grants.ts";
export { isOpenRead, leastRole, mayAct, roles, type Role } from "./roles.ts";
export { migrations, openTokenStore, type Token, type TokenStore } from "./store.ts";
export { openTenants, type Tenant, type TenantStore } from "./tenants.ts";
