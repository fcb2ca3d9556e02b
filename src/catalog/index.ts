export { missingReferences } from "./references.ts";
export { parseProductName, productDataSchema, readCatalog, type Product } from "./schema.ts";
export { migrations, openCatalog, type Catalog } from "./store.ts";
