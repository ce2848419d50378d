// SignalBox: the long names that .NET gives to claims
// SPDX-License-Identifier: Apache-2.0

/// The SDK shortens claim names when it signs a token and expects the long ones in OpenConnection; without them an app knows no user
/// (service reference, "OpenConnection content").
package enum ClaimNames {
    package static func long(_ name: String) -> String { all[name] ?? name }

    /// The short name; of several, the one that tokens of others than .NET use.
    package static func short(_ name: String) -> String { short[name] ?? name }

    private static let short = Dictionary(
        all.filter { $0.key != "nameid" && $0.key != "roles" }.map { ($1, $0) }, uniquingKeysWith: min)

    private static let soap = "http://schemas.xmlsoap.org/ws/2005/05/identity/claims/"
    private static let identity = "http://schemas.microsoft.com/identity/claims/"
    private static let ws2008 = "http://schemas.microsoft.com/ws/2008/06/identity/claims/"
    private static let certificate = "http://schemas.microsoft.com/2012/12/certificatecontext/"
    private static let device = "http://schemas.microsoft.com/2012/01/devicecontext/claims/"
    private static let request = "http://schemas.microsoft.com/2012/01/requestcontext/claims/"

    private static let all: [String: String] = [
        "actort": "http://schemas.xmlsoap.org/ws/2009/09/identity/claims/actor",
        "birthdate": soap + "dateofbirth",
        "email": soap + "emailaddress",
        "family_name": soap + "surname",
        "gender": soap + "gender",
        "given_name": soap + "givenname",
        "nameid": soap + "nameidentifier",
        "sub": soap + "nameidentifier",
        "website": soap + "webpage",
        "unique_name": soap + "name",
        "oid": identity + "objectidentifier",
        "scp": identity + "scope",
        "tid": identity + "tenantid",
        "acr": "http://schemas.microsoft.com/claims/authnclassreference",
        "adfs1email": "http://schemas.xmlsoap.org/claims/EmailAddress",
        "adfs1upn": "http://schemas.xmlsoap.org/claims/UPN",
        "amr": "http://schemas.microsoft.com/claims/authnmethodsreferences",
        "authmethod": ws2008 + "authenticationmethod",
        "certapppolicy": certificate + "extension/applicationpolicy",
        "certauthoritykeyidentifier": certificate + "extension/authoritykeyidentifier",
        "certbasicconstraints": certificate + "extension/basicconstraints",
        "certeku": certificate + "extension/eku",
        "certissuer": certificate + "field/issuer",
        "certissuername": certificate + "field/issuername",
        "certkeyusage": certificate + "extension/keyusage",
        "certnotafter": certificate + "field/notafter",
        "certnotbefore": certificate + "field/notbefore",
        "certpolicy": certificate + "extension/certificatepolicy",
        "certpublickey": soap + "rsa",
        "certrawdata": certificate + "field/rawdata",
        "certserialnumber": ws2008 + "serialnumber",
        "certsignaturealgorithm": certificate + "field/signaturealgorithm",
        "certsubject": certificate + "field/subject",
        "certsubjectaltname": certificate + "extension/san",
        "certsubjectkeyidentifier": certificate + "extension/subjectkeyidentifier",
        "certsubjectname": certificate + "field/subjectname",
        "certtemplateinformation": certificate + "extension/certificatetemplateinformation",
        "certtemplatename": certificate + "extension/certificatetemplatename",
        "certthumbprint": soap + "thumbprint",
        "certx509version": certificate + "field/x509version",
        "clientapplication": request + "x-ms-client-application",
        "clientip": request + "x-ms-client-ip",
        "clientuseragent": request + "x-ms-client-user-agent",
        "commonname": "http://schemas.xmlsoap.org/claims/CommonName",
        "denyonlyprimarygroupsid": ws2008 + "denyonlyprimarygroupsid",
        "denyonlyprimarysid": ws2008 + "denyonlyprimarysid",
        "denyonlysid": soap + "denyonlysid",
        "devicedispname": device + "displayname",
        "deviceid": device + "identifier",
        "deviceismanaged": device + "ismanaged",
        "deviceostype": device + "ostype",
        "deviceosver": device + "osversion",
        "deviceowner": device + "userowner",
        "deviceregid": device + "registrationid",
        "endpointpath": request + "x-ms-endpoint-absolute-path",
        "forwardedclientip": request + "x-ms-forwarded-client-ip",
        "group": "http://schemas.xmlsoap.org/claims/Group",
        "groupsid": ws2008 + "groupsid",
        "idp": identity + "identityprovider",
        "insidecorporatenetwork": "http://schemas.microsoft.com/ws/2012/01/insidecorporatenetwork",
        "isregistereduser": device + "isregistereduser",
        "ppid": soap + "privatepersonalidentifier",
        "primarygroupsid": ws2008 + "primarygroupsid",
        "primarysid": ws2008 + "primarysid",
        "proxy": request + "x-ms-proxy",
        "pwdchgurl": "http://schemas.microsoft.com/ws/2012/01/passwordchangeurl",
        "pwdexpdays": "http://schemas.microsoft.com/ws/2012/01/passwordexpirationdays",
        "pwdexptime": "http://schemas.microsoft.com/ws/2012/01/passwordexpirationtime",
        "relyingpartytrustid": request + "relyingpartytrustid",
        "role": ws2008 + "role",
        "roles": ws2008 + "role",
        "upn": soap + "upn",
        "winaccountname": ws2008 + "windowsaccountname",
    ]
}
